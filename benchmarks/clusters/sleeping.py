"""A real search on a cluster whose trials sleep instead of training; what it did is written down.

    python sleeping.py --address HOST:6379 --folder FOLDER --trials 40 --workers 2

Driver, journal, runner, workers and decisions are those of any search. A trial's checkpoint is a
file; its score follows from all that it has been through, so that a step left out or made twice
would show. Once the file FOLDER/enough exists no step takes any time, and the search is soon over.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import ray

from toprung.core.clock import SystemClock
from toprung.core.files import write_json
from toprung.search.driver import Driver
from toprung.search.plan import Plan
from toprung.search.runners.ray import Ray
from toprung.search.schedulers.asha import Asha
from toprung.search.searchers.random import Random
from toprung.trial.config import Assignment, Resource
from toprung.trial.journal import Journal
from toprung.trial.report import Metric, Report
from toprung.trial.space import Float, Space

ACCURACY = Metric("accuracy")
RESOURCE = Resource("examples", 1, 9, (1, 2, 3, 4, 5, 6, 7, 8, 9))


def open_driver(folder: Path, trials: int, seed: int) -> Driver:
    """The driver of a folder; it refuses a journal with decisions that it would not take."""
    scheduler, searcher = Asha(rule="stop"), Random()
    scheduler.prepare(RESOURCE, ACCURACY)
    searcher.prepare(Space({"x": Float(0.0, 1.0)}), seed)
    journal = Journal(folder, SystemClock())
    return Driver(Plan(ACCURACY, RESOURCE, trials, seed=seed), scheduler, searcher, journal)


def make_training(folder: Path, seconds: float) -> Callable[[Assignment], Iterator[Report]]:
    """A training that sleeps so many seconds a step."""

    def train(assignment: Assignment) -> Iterator[Report]:
        trial, reached = assignment.config.trial, assignment.start
        kept = folder / "checkpoints" / trial
        host = ray.util.get_node_ip_address()
        known = json.loads((kept / f"{reached}.json").read_text())["state"] if reached else trial
        log = (folder / "trained" / f"{host}-{os.getpid()}.jsonl").open("a", buffering=1)

        def tell(point: int | None) -> None:
            line = {"trial": trial, "host": host, "from": assignment.start, "point": point}
            log.write(json.dumps({**line, "at": time.time()}) + "\n")

        tell(None)
        for point in RESOURCE.points:
            if point <= reached:
                continue
            ends = time.monotonic() + seconds
            while time.monotonic() < ends and not (folder / "enough").exists():
                time.sleep(0.02)
            known = hashlib.sha256(f"{known}/{point}".encode()).hexdigest()
            write_json(kept / f"{point}.json", {"state": known})
            tell(point)
            luck = int(known[:8], 16) / 2**32
            value = float(assignment.config.values["x"]) * (1 - 0.5 / point) + 0.1 * luck
            yield Report(trial, point, {"accuracy": round(value, 6)}, point * seconds, str(point))

    return train


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--address", required=True)
    parser.add_argument("--node", help="address of the node that this runs on")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--workers", type=int, default=None)
    parser.add_argument("--seconds", type=float, default=0.5, help="of a step")
    parser.add_argument("--priority", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    (options.folder / "trained").mkdir(parents=True, exist_ok=True)
    if options.node:
        # Namespaces of a network share one table of processes; Ray takes the first raylet in it.
        ray.init(options.address, _node_ip_address=options.node, log_to_driver=False)
    driver = open_driver(options.folder, options.trials, options.seed)
    runner = Ray(address=options.address, workers=options.workers, priority=options.priority)
    runner.run(driver, make_training(options.folder, options.seconds))
    driver.finish()


if __name__ == "__main__":
    main()
