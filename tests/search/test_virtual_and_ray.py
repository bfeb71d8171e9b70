"""The simulated clock and a real Ray, whose reports come in the same order, decide the same."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ray import cloudpickle

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
# A worker cannot import this file: others have a package named tests too.
cloudpickle.register_pickle_by_value(sys.modules[__name__])
ACCURACY = Metric("accuracy")
POINTS = (1, 3, 9)
RESOURCE = Resource("examples", 1, 9, POINTS)
CPUS = os.cpu_count() or 1
TRIALS, WORKERS = 8, CPUS // max(1, CPUS // 2)  # as many as Ray finds room for, two or three
PATIENCE = 120  # seconds in which a report's turn must come
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


def in_order(journal: Path, order: list[tuple[str, int]]) -> Callable[..., Iterator[Report]]:
    """A training whose report waits until the journal has each that came before it in ``order``.

    So what durations decide, who reports before whom, is that of the simulation, however long
    Ray takes to start workers and to hand over reports.
    """

    def train(assignment: Assignment) -> Iterator[Report]:
        for report in look_up(assignment):
            turn = order.index((report.trial, report.resource))
            limit = time.monotonic() + PATIENCE
            while journal.read_bytes().count(b'"kind": "reported"') < turn:
                assert time.monotonic() < limit, f"{report.trial} still waits at place {turn}"
                time.sleep(0.01)
            yield report

    return train


def search(folder: Path, runner: Runner, train: Callable[..., Iterator[Report]]) -> list[Event]:
    scheduler, searcher, seen = Asha(rule="promote"), Tpe(startup=4), list[Event]()
    scheduler.prepare(RESOURCE, ACCURACY, finalists=3)
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


@pytest.mark.skipif(CPUS < 2, reason="needs two CPUs")
def test_workers_of_ray_decide_as_simulated_ones_whose_reports_come_in_the_same_order(
    tmp_path,
) -> None:
    simulated = search(tmp_path / "virtual", Virtual(workers=WORKERS), look_up)
    reported = [event for event in simulated if event["kind"] == "reported"]
    order = [(event["trial"], event["resource"]) for event in reported]
    moments = [event["at"] for event in reported]
    assert len(set(moments)) == len(moments), f"too close to tell apart: {moments}"

    # The durations must also matter: one worker goes another way.
    alone = search(tmp_path / "alone", Virtual(workers=1), look_up)
    assert course(alone) != course(simulated)
    # So must a slot that would idle without likely finalists.
    assert {e["by"] for e in simulated if e["kind"] == "promoted"} == {"rule", "ahead"}

    folder = tmp_path / "ray"
    real = search(folder, Ray(cpus=CPUS // WORKERS), in_order(folder / "journal.jsonl", order))
    assert not [event["message"] for event in real if event["kind"] == "failed"]
    assert course(real) == course(simulated)
    assert {event["kind"] for event in course(real)} == set(DECIDED)
