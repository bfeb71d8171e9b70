"""Decisions in rungs of 100,000 trials, and what TPE asks of the driver's time.

    python benchmarks/control_plane/rungs.py [--quick] [--repeats N]

*Decisions*: a trial enters the search, reports at the lowest rung and is decided upon, promotions
included; microseconds of CPU when the rung holds so many already. Beside it Ray Tune's
``ASHAScheduler``: the same report to its bracket.

*TPE*: milliseconds of CPU for one suggestion after so many observations, and where suggestions
fall back to random draws: with how many trials that run without a score.
"""

from __future__ import annotations

import random
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ray.tune.schedulers.async_hyperband import _Bracket

from harness import arguments, entry, record, say
from toprung.search.schedulers.asha import Asha
from toprung.search.searchers._base import Observation
from toprung.search.searchers.random import Random
from toprung.search.searchers.tpe import Tpe
from toprung.trial.config import Resource, trial_id
from toprung.trial.report import Metric
from toprung.trial.space import Choice, Float, Int, Option, Space

LORA = Space({"rank": Int(4, 64, log=True), "layers": Choice((Option("all"), Option("top_third")))})
SPACE = Space(
    {
        "adapter": Choice((Option("full"), Option("frozen"), Option("lora", LORA))),
        "learning_rate": Float(1e-5, 1e-1, log=True),
        "weight_decay": Float(0.0, 0.1),
        "pooling": Choice(tuple(Option(name) for name in ("cls", "mean", "attention"))),
        "batch_size": Choice((Option(16), Option(32))),
    }
)


def cpu_of(work: Callable[[int], None], count: int) -> float:
    """CPU-seconds of one call, over so many."""
    began = time.process_time()
    for number in range(count):
        work(number)
    return (time.process_time() - began) / count


def ours_decide(held: int, asked: int, rule: str, seed: int) -> float:
    """Seconds of a decision when the lowest rung holds so many."""
    chance = random.Random(seed)
    asha = Asha(rule=rule)  # type: ignore[arg-type]
    asha.prepare(Resource("examples", 1, 81, (1, 3, 9, 27, 81)), Metric("accuracy"))

    def work(number: int) -> None:
        trial = f"t{number:06d}"
        asha.add(trial)
        asha.decide(trial, 1, chance.random())
        while promotion := asha.promote():
            asha.decide(promotion.trial, 3 * promotion.start, chance.random())

    for number in range(held):
        work(number)
    return cpu_of(lambda number: work(held + number), asked)


def their_decide(held: int, asked: int, seed: int) -> float:
    """The same of one of Ray Tune's brackets."""
    chance = random.Random(seed)
    bracket = _Bracket(min_t=1, max_t=81, reduction_factor=3, s=0)
    lowest = bracket._rungs[-1][1]
    lowest.update({f"t{number:06d}": chance.random() for number in range(held)})
    trials = [SimpleNamespace(trial_id=f"x{number}") for number in range(asked)]

    def work(number: int) -> None:
        bracket.on_result(trials[number], 1, chance.random())

    return cpu_of(work, asked)


def ask(seen: int, asked: int) -> float:
    """Seconds of a suggestion of TPE after so many observations."""
    chance, drawn, tpe = random.Random(1), Random(), Tpe()
    drawn.prepare(SPACE, 3)
    tpe.prepare(SPACE, 7)
    for number in range(1, seen + 1):
        scores = {512: chance.random()}
        if number % 3 == 0:
            scores[1536] = chance.random()
        state = "completed" if number % 27 == 0 else "paused"
        tpe.observe(Observation(trial_id(number), drawn.suggest(number) or {}, scores, state))  # type: ignore[arg-type]
    return cpu_of(lambda number: tpe.suggest(seen + 1 + number) and None, asked)


def crowds(most: int) -> dict[int, float]:
    """Shares of random draws by how many trials run without a score."""
    drawn, tpe = Random(), Tpe()
    drawn.prepare(SPACE, 3)
    tpe.prepare(SPACE, 7)
    shares = {}
    for number in range(1, most + 1):
        tpe.observe(Observation(trial_id(number), drawn.suggest(number) or {}, {}, "running"))
        if number in (1, 64, 255, 256, 512, 1024):
            sources = [tpe.source(number + other) for other in range(1, 841)]
            shares[number] = sources.count("random") / len(sources)
    return shares


def main() -> None:
    options = arguments(__doc__).parse_args()
    repeats = 1 if options.quick else options.repeats
    held = 10_000 if options.quick else 100_000
    entries = []
    theirs = [1e6 * their_decide(held, 200, seed) for seed in range(repeats)]
    for rule in ("promote", "stop"):
        ours = [1e6 * ours_decide(held, 2_000, rule, seed) for seed in range(repeats)]
        entries.append(
            entry("control_plane_decisions", f"rung of {held:,} trials, {rule}", "ray_tune",
                  ours=ours, theirs=theirs, unit="µs CPU a decision", better="lower",
                  bar="≤ 100 µs (ours)", met=statistics.median(ours) <= 100)
        )  # fmt: skip
    sizes = (100, 1_000) if options.quick else (100, 300, 1_000, 3_000, 10_000)
    asks = {seen: [1e3 * ask(seen, 10) for _ in range(repeats)] for seen in sizes}
    for seen, found in asks.items():
        say(f"TPE after {seen}: {statistics.median(found):.1f} ms")
    falls = crowds(1024)
    say(f"random draws by trials without a score: {falls}")
    most = max(sizes)
    took = "; ".join(f"{seen:,}: {statistics.median(f):.1f} ms" for seen, f in asks.items())
    drawn = ", ".join(f"{number}: {share:.0%}" for number, share in falls.items())
    entries.append(
        entry(
            "control_plane_tpe",
            f"a suggestion after {most:,} observations",
            "itself at 1,000",
            ours=asks[most],
            theirs=asks[1_000],
            unit="ms CPU",
            better="lower",
            note=f"{took}. Drawn at random by trials that run without a score: {drawn}",
        )
    )
    record(entries, quick=options.quick)


if __name__ == "__main__":
    main()
