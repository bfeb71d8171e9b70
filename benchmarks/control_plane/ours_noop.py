"""No-op trials through toprung's Ray runner: its driver, its journal on the disk, its workers."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import ray
from setting import ETA, SLOTS, Meter, options, quality, quiet

from toprung.core.clock import SystemClock
from toprung.search.driver import Driver
from toprung.search.plan import Plan
from toprung.search.runners.ray import Ray
from toprung.search.schedulers import registry
from toprung.search.searchers.random import Random
from toprung.trial.config import Assignment, Resource
from toprung.trial.journal import Event, Journal
from toprung.trial.report import Metric, Report
from toprung.trial.space import Float, Space

ACCURACY = Metric("accuracy")


class Noop:
    """Reports at once, or sleeps the same time before each report."""

    def __init__(self, results: int, sleep: float) -> None:
        self.results, self.pause = results, sleep / results

    def __call__(self, assignment: Assignment) -> Iterator[Report]:
        config = assignment.config
        for result in range(assignment.start + 1, self.results + 1):
            if self.pause:
                time.sleep(self.pause)
            accuracy = quality(float(config.values["x"] or 0.0), result)
            yield Report(config.trial, result, {"accuracy": accuracy}, 0.001 * result)


def main() -> None:
    chosen = options((__doc__ or "").splitlines()[0])
    quiet()
    ray.init(num_cpus=SLOTS, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    resource = Resource("epochs", 1, chosen.results, tuple(range(1, chosen.results + 1)))
    asha = {"reduction_factor": ETA, "rule": "stop"}
    scheduler = registry.make(chosen.scheduler, asha if chosen.scheduler == "asha" else {})
    scheduler.prepare(resource, ACCURACY)
    searcher = Random()
    searcher.prepare(Space({"x": Float(0.0, 1.0)}), 7)
    meter = Meter()

    def watch(event: Event) -> None:
        if event["kind"] == "reported":
            meter.result()
        elif event["kind"] == "decided" and event["decision"] != "continue":
            meter.end()

    results = Path(__file__).resolve().parents[2] / "results"
    results.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory(dir=results, prefix=".noop-") as folder,
        Journal(Path(folder), SystemClock()) as journal,
    ):
        plan = Plan(ACCURACY, resource, chosen.trials, seed=7)
        driver = Driver(plan, scheduler, searcher, journal, watchers=[watch])
        Ray(cpus=1).run(driver, Noop(chosen.results, chosen.sleep))
        driver.finish()
    ray.shutdown()
    meter.say()


if __name__ == "__main__":
    main()
