"""A load generator against driver and journal: latency, CPU share, knee, and troubles.

    python benchmarks/control_plane/load.py [--quick] [--repeats N]

Workers that share one process (``crowd.py``) beside the desk's (``elsewhere.py``) talk to the same
desk that serves Ray's workers; behind it are the production driver, ASHA, random search and a
journal on this disk, fsynced. Trials report at ten points of which five are rungs. Measured are

- *latency*: from the delivery of a report that a trial waits with to its answer, with everything
  durable, of 1,000 workers at 200 reports/s in all, and the CPU time of the desk's thread;
- *knee*: the highest rate in a ramp at which as much is answered as is offered (95 %) and 99 of
  100 answers take less than 0.1 s;
- *troubles*: the same course with bursts, double, late and lost reports and dying workers: every
  answered report stands in the journal once.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from crowd import Seen, Troubles
from elsewhere import Elsewhere

from harness import ROOT, arguments, command, record, say
from toprung.core.clock import SystemClock
from toprung.search.driver import Driver
from toprung.search.plan import Plan
from toprung.search.runners._desk import Desk
from toprung.search.schedulers.asha import Asha
from toprung.search.searchers.random import Random
from toprung.trial.config import Resource
from toprung.trial.decision import Failure
from toprung.trial.journal import Journal, read_events
from toprung.trial.report import Metric
from toprung.trial.space import Choice, Float, Int, Option, Space

POINTS = (1, 3, 9, 18, 27, 36, 45, 54, 63, 72, 81)
SPACE = Space(
    {
        "x": Float(0.0, 1.0),
        "learning_rate": Float(1e-5, 1e-1, log=True),
        "adapter": Choice((Option("full"), Option("lora", Space({"rank": Int(4, 64, log=True)})))),
        "pooling": Choice(tuple(Option(name) for name in ("cls", "mean", "attention"))),
    }
)
BADLY = Troubles(twice=0.05, late=0.05, lost=0.02, deaths=0.002, burst_seconds=0.5)
RAMP = (1000, 2000, 3000, 4000, 5000, 5500, 6000, 7000, 8000, 10000)


@dataclass(frozen=True)
class Course:
    """What a stretch of load showed.

    Attributes:
        offered, answered: reports per second.
        p50_ms, p99_ms: of the answers to reports that a trial waits with.
        core: CPU-seconds of the desk's thread per second.
        problems: reports that stand in the journal twice, and decisions without a report.
    """

    offered: float
    answered: float
    p50_ms: float
    p99_ms: float
    core: float
    seen: dict[str, int]
    problems: int


def run(workers: int, rate: float, seconds: float, troubles: Troubles) -> Course:
    """Loads a fresh search for some seconds."""
    results = ROOT / "results"
    results.mkdir(exist_ok=True)
    resource, accuracy = Resource("examples", 1, 81, POINTS), Metric("accuracy")
    scheduler, searcher = Asha(), Random()
    scheduler.prepare(resource, accuracy)
    searcher.prepare(SPACE, 7)
    with tempfile.TemporaryDirectory(dir=results, prefix=".load-") as folder:
        with Journal(Path(folder), SystemClock()) as journal:
            plan = Plan(accuracy, resource, 1_000_000, seed=7)
            driver = Driver(plan, scheduler, searcher, journal)
            desk = Desk(driver, workers, lambda error: Failure("infrastructure", str(error)))
            crowd = Elsewhere(
                desk, workers, POINTS, driver.between, rate=rate, troubles=troubles, seed=7
            )
            core, seen = _serve(desk, crowd, seconds)
        problems = _problems(Path(folder) / "journal.jsonl")
    waits = sorted(seen.latencies) or [0.0]
    return Course(
        rate,
        seen.reports / seconds,
        1e3 * waits[len(waits) // 2],
        1e3 * waits[int(0.99 * (len(waits) - 1))],
        core,
        _counts(seen),
        problems,
    )


def _serve(desk: Desk, crowd: Elsewhere, seconds: float) -> tuple[float, Seen]:
    """CPU-seconds a second of the desk's thread, and what the crowd saw, after a warm-up."""
    cpu = [0.0, 0.0]
    error: list[BaseException] = []

    def serve() -> None:
        try:
            desk.serve()
        except BaseException as raised:  # the edge of a thread
            error.append(raised)

    thread = threading.Thread(target=serve, daemon=True)
    clock = _thread_clock(thread)
    crowd.start()
    warm = min(3.0, seconds / 2)
    time.sleep(warm)
    crowd.count()
    cpu[0] = clock()
    time.sleep(seconds)
    cpu[1], seen = clock(), crowd.count()
    crowd.end()
    desk.fail(KeyboardInterrupt())
    thread.join()
    if error and not isinstance(error[0], KeyboardInterrupt):
        raise error[0]
    return (cpu[1] - cpu[0]) / seconds, seen


def _thread_clock(thread: threading.Thread):
    """Starts the thread; returns what reads its CPU-seconds."""
    thread.start()
    number = time.pthread_getcpuclockid(thread.ident or 0)
    return lambda: time.clock_gettime(number)


def _counts(seen: Seen) -> dict[str, int]:
    return {name: value for name, value in asdict(seen).items() if isinstance(value, int)}


def _problems(journal: Path) -> int:
    events = read_events(journal)
    reported = Counter((e["trial"], e["resource"]) for e in events if e["kind"] == "reported")
    decided = Counter((e["trial"], e["resource"]) for e in events if e["kind"] == "decided")
    twice = sum(number - 1 for number in reported.values())
    return twice + sum(key not in reported for key in decided)


def knee(seconds: float, ramp: Sequence[int], workers: int = 2000) -> tuple[float, list[Course]]:
    """The highest rate that is kept up with, and the courses of the ramp."""
    courses, best = [], 0.0
    for rate in ramp:
        course = run(workers, rate, seconds, Troubles())
        courses.append(course)
        say(f"  {course}")
        if course.answered < 0.95 * rate or course.p99_ms > 100:
            break
        best = course.answered
    return best, courses


def main() -> None:
    options = arguments(__doc__).parse_args()
    repeats = 1 if options.quick else options.repeats
    seconds = 3.0 if options.quick else 20.0
    calm, rough, knees = [], [], []
    for _ in range(repeats):
        calm.append(run(1000, 200, seconds, Troubles()))
        say(f"calm:  {calm[-1]}")
        rough.append(run(1000, 1000, seconds, BADLY))
        say(f"rough: {rough[-1]}")
        ramp = RAMP[:3] if options.quick else RAMP
        knees.append(knee(seconds / 4, ramp)[0])
        say(f"knee:  {knees[-1]:.0f} reports/s")
    if any(course.problems for course in (*calm, *rough)):
        raise SystemExit("reports stand in the journal twice, or decisions without a report")
    middle = statistics.median(course.p50_ms for course in calm)
    record(
        [
            _entry("p99 of answers, 1,000 workers at 200 reports/s", [c.p99_ms for c in calm],
                   bar=5.0, unit="ms", note=f"median {middle:.2g} ms"),
            _entry("CPU of the desk, 1,000 workers at 200 reports/s", [100 * c.core for c in calm],
                   bar=5.0, unit="% of a core"),
            _entry("knee of the load generator", knees, bar=5000.0, unit="reports/s",
                   higher=True, note="ramp " + ", ".join(map(str, RAMP))),
            _entry("bursts, double, late and lost reports, dying workers at 1,000 reports/s",
                   [c.p99_ms for c in rough], bar=float("inf"), unit="ms (p99)",
                   note=json.dumps(rough[-1].seen)),
        ],
        quick=options.quick,
    )  # fmt: skip


def _entry(
    what: str, ours: Sequence[float], *, bar: float, unit: str, higher: bool = False, note: str = ""
) -> dict[str, object]:
    """An entry whose peer is the bar: the ratio says how many times better than it."""
    known = bar < float("inf")
    each = [(value / bar if higher else bar / value) if known else 1.0 for value in ours]
    middle = statistics.median(ours)
    return {
        "name": "control_plane_load",
        "dataset": what,
        "peer": "bar",
        "ratio": statistics.median(each),
        "low": min(each),
        "high": max(each),
        "repeats": len(ours),
        "command": command(),
        "ours": middle,
        "theirs": bar if known else middle,
        "unit": unit,
        "note": note,
        **({"bar": f"{'≥' if higher else '≤'} {bar:g} {unit}"} if known else {}),
        **({"met": middle >= bar if higher else middle <= bar} if known else {}),
    }


if __name__ == "__main__":
    main()
