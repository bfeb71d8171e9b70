"""Trials that train nothing: toprung's Ray runner beside Ray Tune's own loop, on two slots.

    python benchmarks/control_plane/ray_noop.py [--quick] [--repeats N]

Both sides get the same trials (one float, drawn at random), two workers of one CPU, resident
processes (``reuse_actors=True`` for Ray Tune) and no loggers; ours writes its journal, fsynced.
Rates are taken from the first result to the last, without the start of Ray.

- *trials*: each has one result (FIFO); and up to nine results under ASHA's stopping rule.
- *results*: each trial has a hundred results, and none is stopped.
- *sleeps*: trials that sleep; the scaled form of trials of 1 s. The ratio compares what each
  side adds to the floor, which is trials × seconds / slots.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from harness import Contestant, arguments, entry, interleave, peer_python, record, say

HERE = Path(__file__).resolve().parent
SLOTS = 2


@dataclass(frozen=True)
class Course:
    """What both sides do.

    Attributes:
        name: of the entry.
        dataset: the course in words.
        figure: that is compared.
        unit: of it.
        ours, theirs: trials. Ray Tune gets fewer, for its rate falls with their number.
        results: of a trial that is not stopped.
    """

    name: str
    dataset: str
    figure: str
    unit: str
    ours: int
    theirs: int
    results: int
    scheduler: str = "fifo"
    sleep: float = 0.0

    def contestants(self) -> list[Contestant]:
        """Ours and Ray Tune's."""
        sides = {"ours": (sys.executable, "ours_noop.py", self.ours)}
        sides["ray_tune"] = (peer_python(), "peer_noop.py", self.theirs)
        common = ["--results", str(self.results), "--scheduler", self.scheduler]
        common += ["--sleep", str(self.sleep)]
        return [
            Contestant(side, [python, str(HERE / script), "--trials", str(trials), *common])
            for side, (python, script, trials) in sides.items()
        ]


def courses(quick: bool) -> list[Course]:
    """All of them, or small ones."""
    few = 20 if quick else 1
    trials, results = "control_plane_trials", "control_plane_results"
    return [
        Course(trials, "one result each", "trials_per_second", "trials/s",
               10_000 // few, 500 // few, 1),
        Course(trials, "ASHA, up to 9 results", "trials_per_second", "trials/s",
               3_000 // few, 500 // few, 9, scheduler="asha"),
        Course(results, "100 results each", "results_per_second", "results/s",
               1_000 // few, 60 // few, 100),
        Course("control_plane_floor", "250 trials of 0.2 s", "steady_seconds", "s",
               250 // few, 250 // few, 1, sleep=0.2),
    ]  # fmt: skip


def main() -> None:
    options = arguments(__doc__).parse_args()
    chosen = courses(options.quick)
    for course in chosen[1:2] if options.quick else chosen:
        say(f"{course.name}: {course.dataset}")
        runs = interleave(course.contestants(), 1 if options.quick else options.repeats)
        values = {
            side: [run.output[course.figure] for run in found] for side, found in runs.items()
        }
        if course.sleep:
            record([_floor(course, values)], quick=options.quick)
            continue
        per = "trials" if course.figure.startswith("trials") else "results"
        cpu = {
            side: statistics.median(1e3 * run.cpu / run.output[per] for run in found)
            for side, found in runs.items()
        }
        one = entry(
            course.name,
            course.dataset,
            "ray_tune",
            ours=values["ours"],
            theirs=values["ray_tune"],
            unit=course.unit,
            better="higher",
            cpu_ms={side: round(value, 2) for side, value in cpu.items()},
            note=f"CPU per {per[:-1]}, Ray's start included: {cpu['ours']:.1f} ms, "
            f"theirs {cpu['ray_tune']:.1f} ms",
        )
        record([one], quick=options.quick)


def _floor(course: Course, values: dict[str, Sequence[float]]) -> dict[str, object]:
    """Seconds over the floor; the first result comes when the first sleep is over."""
    shares = {}
    for side, trials in (("ours", course.ours), ("ray_tune", course.theirs)):
        floor = (trials - SLOTS) * course.sleep / SLOTS
        shares[side] = [100 * (seconds / floor - 1) for seconds in values[side]]
    middle = statistics.median(shares["ours"])
    return entry(
        course.name,
        course.dataset,
        "ray_tune",
        ours=shares["ours"],
        theirs=shares["ray_tune"],
        unit="% over the floor",
        better="lower",
        bar="≤ 5 % (ours)",
        met=middle <= 5,
        note="the scaled form of trials of 1 s, whose overhead is a fifth of this",
    )


if __name__ == "__main__":
    main()
