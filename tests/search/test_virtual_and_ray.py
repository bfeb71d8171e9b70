"""The simulated clock and a real Ray, given the same durations, decide the same."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from toprung.core.clock import SystemClock
from toprung.core.seeds import derive_seed
from toprung.search.driver import Driver
from toprung.search.plan import Plan
from toprung.search.runners._base import Runner
from toprung.search.runners.ray import Ray
from toprung.search.runners.virtual import Virtual
from toprung.search.schedulers.asha import Asha
from toprung.search.searchers.tpe import Tpe
from toprung.trial.config import Assignment, Resource
from toprung.trial.journal import Event, Journal
from toprung.trial.report import Metric, Report
from toprung.trial.space import Float, Space

pytestmark = pytest.mark.timeout(240)
ACCURACY = Metric("accuracy")
POINTS = (1, 3, 9)
RESOURCE = Resource("examples", 1, 9, POINTS)
TRIALS, WORKERS = 8, 2
SECONDS_A_UNIT, LEAST_GAP = 0.15, 4  # the real pace; units between any two reports
DECIDED = ("suggested", "reported", "decided", "promoted")


def units(trial: str, resource: int) -> int:
    """When a trial has reached a resource, in units since its start; uneven from trial to trial."""
    pace = 3 + derive_seed(264, trial) % 9
    return sum(pace * (4 if point > 1 else 2) + point % 7 for point in POINTS if point <= resource)


def accuracy(assignment: Assignment, resource: int) -> float:
    x = float(assignment.config.values["x"] or 0.0)
    return x * (1 - 0.5 / resource)


def look_up(assignment: Assignment) -> Iterator[Report]:
    for point in POINTS:
        if point > assignment.start:
            trial = assignment.config.trial
            metrics = {"accuracy": accuracy(assignment, point)}
            yield Report(trial, point, metrics, float(units(trial, point)), "c")


def sleeper(folder: Path, moments: dict[tuple[str, int], float]) -> Callable[..., Iterator[Report]]:
    """A training that sleeps until the moment of each report, once both workers are at work.

    So each duration is that of the simulation, and what Ray takes to start workers and to hand
    over reports does not add up from report to report.
    """

    def train(assignment: Assignment) -> Iterator[Report]:
        (folder / f"here-{assignment.config.trial}").touch()
        while not all((folder / f"here-t000{n}").exists() for n in range(1, WORKERS + 1)):
            time.sleep(0.01)
        epoch = max((folder / f"here-t000{n}").stat().st_mtime for n in range(1, WORKERS + 1))
        for report in look_up(assignment):
            due = epoch + SECONDS_A_UNIT * moments[report.trial, report.resource]
            time.sleep(max(0.0, due - time.time()))
            yield report

    return train


def search(folder: Path, runner: Runner, train: Callable[..., Iterator[Report]]) -> list[Event]:
    scheduler, searcher, seen = Asha(), Tpe(startup=4), list[Event]()
    scheduler.prepare(RESOURCE, ACCURACY)
    searcher.prepare(Space({"x": Float(0.0, 1.0)}), 7)
    clock = runner.clock if isinstance(runner, Virtual) else SystemClock()
    with Journal(folder, clock) as journal:
        plan = Plan(ACCURACY, RESOURCE, TRIALS, seed=7)
        driver = Driver(plan, scheduler, searcher, journal, watchers=[seen.append])
        runner.run(driver, train)
        driver.finish()
    return seen


def course(events: list[Event]) -> list[dict[str, object]]:
    """What was suggested, reported, decided and promoted, in order, without the clock's times."""
    timeless = [{k: v for k, v in e.items() if k not in ("seq", "at", "time")} for e in events]
    return [event for event in timeless if event["kind"] in DECIDED]


@pytest.mark.skipif((os.cpu_count() or 1) < WORKERS, reason="needs two CPUs")
def test_two_workers_of_ray_decide_as_two_simulated_ones_given_the_same_durations(tmp_path) -> None:
    simulated = search(tmp_path / "virtual", Virtual(workers=WORKERS), look_up)
    moments = {(e["trial"], e["resource"]): e["at"] for e in simulated if e["kind"] == "reported"}
    ordered = sorted(moments.values())
    gaps = [later - earlier for earlier, later in pairwise(ordered)]
    assert min(gaps) >= LEAST_GAP, f"too close to tell apart: {gaps}"

    # The durations must also matter: one worker goes another way.
    alone = search(tmp_path / "alone", Virtual(workers=1), look_up)
    assert course(alone) != course(simulated)

    real = search(
        tmp_path / "ray", Ray(cpus=(os.cpu_count() or 2) // WORKERS), sleeper(tmp_path, moments)
    )
    assert course(real) == course(simulated)
    assert {event["kind"] for event in course(real)} == set(DECIDED)
