"""A short search for scripts that break things: real driver, journal and runner, toy training.

Nothing is learned, so that hundreds of disturbed searches fit into an hour; all that a fault
meets is real: journal, desk, Ray and its workers, checkpoints on the disk, notice and pause.

    python benchmarks/faults/short_search.py FOLDER --runner ray --trials 9

A trial writes down each step that it takes and each checkpoint that it saves (``trained``), which
tells afterwards what was trained twice. Exit codes are those of ``toprung``.
"""

from __future__ import annotations

import argparse
import math
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from toprung.core.clock import SystemClock
from toprung.core.errors import Interrupted, ToprungError
from toprung.core.files import read_json, write_json
from toprung.core.notice import has_notice
from toprung.learn.fence import Fence
from toprung.search.driver import Driver
from toprung.search.plan import Plan
from toprung.search.room import Room
from toprung.search.runners import registry
from toprung.search.schedulers.asha import Asha
from toprung.search.searchers.random import Random
from toprung.trial.config import Assignment, Resource, TrialConfig
from toprung.trial.journal import Journal
from toprung.trial.report import Metric, Report
from toprung.trial.space import Float, Space

ACCURACY = Metric("accuracy")
POINTS = (4, 8, 12, 24, 36)
RESOURCE = Resource("examples", 4, 36, POINTS, (4, 12, 36))
PAUSE = ".pause"


@dataclass(frozen=True)
class Toy:
    """Trains steps that only take time, and saves a checkpoint at every point.

    Attributes:
        folder: of the search.
        seconds: of a step.
        ballast: bytes of a checkpoint.
    """

    folder: Path
    seconds: float
    ballast: int = 0

    def __call__(self, assignment: Assignment) -> Iterator[Report]:
        folder = self.folder / "trials" / assignment.config.trial
        fence = Fence(folder, assignment)
        reached = newest(folder)
        self._note(folder, f"begin {reached}")
        for point in POINTS:
            for step in range(max(reached, 0) + 1, point + 1):
                if has_notice() or (self.folder / PAUSE).exists():
                    self._save(folder, step - 1, fence)
                    raise Interrupted("a checkpoint was saved")
                time.sleep(self.seconds)
                self._note(folder, f"step {step}")
            if reached < point:
                self._save(folder, point, fence)
                reached = point
            if point > assignment.start:
                value = accuracy(assignment.config, point)
                yield Report(assignment.config.trial, point, {"accuracy": value}, point / 10)

    def _save(self, folder: Path, step: int, fence: Fence) -> None:
        fence.check()
        write_json(folder / f"{step}.json", {"step": step, "ballast": "x" * self.ballast})
        self._note(folder, f"saved {step}")
        for path in folder.glob("[0-9]*.json"):
            if int(path.stem) < step - 12:
                path.unlink(missing_ok=True)

    def _note(self, folder: Path, words: str) -> None:
        with suppress(OSError), (folder / "trained").open("a") as file:
            file.write(words + "\n")


def newest(folder: Path) -> int:
    """The step of the newest checkpoint that is whole; 0 without one."""
    for path in sorted(folder.glob("[0-9]*.json"), key=lambda path: -int(path.stem)):
        with suppress(OSError, ValueError, KeyError):
            return int(read_json(path)["step"])
    return 0


def accuracy(config: TrialConfig, point: int) -> float:
    """A made-up learning curve, the same in every life of a trial."""
    x = float(config.values["x"] or 0.0)
    return round((0.5 + 0.4 * math.sin(9 * x)) * (1 - 0.7 / math.sqrt(point)), 6)


def open_driver(folder: Path, *, trials: int, seed: int, room: Room | None = None) -> Driver:
    """The driver of the search in a folder, begun or gone on with."""
    scheduler, searcher = Asha(), Random()
    scheduler.prepare(RESOURCE, ACCURACY)
    searcher.prepare(Space({"x": Float(0.0, 1.0)}), seed)
    journal = Journal(folder, SystemClock(), patience=room)
    return Driver(Plan(ACCURACY, RESOURCE, trials, seed=seed), scheduler, searcher, journal)


def run(
    folder: Path,
    *,
    runner: str = "inline",
    trials: int = 9,
    seed: int = 7,
    seconds: float = 0.01,
    ballast: int = 0,
    cpus: int | None = None,
    told: Callable[[Driver], None] | None = None,
) -> None:
    """Works a search through, from wherever it is.

    Raises:
        ToprungError, OSError: as any search does.
    """
    (folder / PAUSE).unlink(missing_ok=True)
    room = Room(folder)
    driver = open_driver(folder, trials=trials, seed=seed, room=room)
    room.is_over = lambda: driver.interrupted
    if told is not None:
        told(driver)
    options = {"cpus": cpus or os.cpu_count()} if runner == "ray" else {}
    registry.make(runner, options).run(driver, Toy(folder.resolve(), seconds, ballast))
    driver.refuse_streak()
    driver.finish()


def main() -> int:
    """Runs or goes on with a search; SIGINT and SIGTERM pause it, as those of ``toprung`` do."""
    options = _options()
    options.folder.mkdir(parents=True, exist_ok=True)

    def heed(driver: Driver) -> None:
        def pause(number: int, frame: object) -> None:
            driver.interrupted = True
            with suppress(OSError):
                (options.folder / PAUSE).touch()

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, pause)

    try:
        run(told=heed, **vars(options))
    except ToprungError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        return 3
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--runner", default="inline", choices=("inline", "ray"))
    parser.add_argument("--trials", type=int, default=9)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.01, help="of a step")
    parser.add_argument("--ballast", type=int, default=0, help="bytes of a checkpoint")
    parser.add_argument("--cpus", type=int, help="of a trial; all of them by default")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
