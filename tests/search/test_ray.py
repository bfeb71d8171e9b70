"""Trials on a real local Ray: faults of every class, resident workers, concurrency."""

from __future__ import annotations

import errno
import importlib
import os
import resource
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
import ray

from toprung.core.clock import SystemClock
from toprung.core.errors import FixEnvironment, Interrupted
from toprung.search.driver import Driver
from toprung.search.plan import Plan
from toprung.search.runners._connection import connect
from toprung.search.runners.inline import Inline
from toprung.search.runners.ray import Ray
from toprung.search.schedulers.asha import Asha
from toprung.search.schedulers.fifo import Fifo
from toprung.search.searchers.grid import Grid
from toprung.search.searchers.random import Random
from toprung.trial.config import Assignment, Resource
from toprung.trial.journal import Event, Journal
from toprung.trial.report import Metric, Report
from toprung.trial.space import Choice, Float, Option, Space

pytestmark = pytest.mark.timeout(240)
ACCURACY = Metric("accuracy")
RESOURCE = Resource("examples", 1, 9, (1, 3, 9))


SPACE = Space({"x": Float(0.0, 1.0)})


def open_driver(folder: Path, space: Space, trials: int, scheduler, searcher) -> Driver:
    scheduler.prepare(RESOURCE, ACCURACY)
    searcher.prepare(space, 7)
    journal = Journal(folder, SystemClock())
    return Driver(Plan(ACCURACY, RESOURCE, trials, seed=7), scheduler, searcher, journal)


def test_each_fault_gets_its_class_and_the_others_are_intact(tmp_path) -> None:
    kinds = ("fine", "nan", "silent", "raises", "killed", "memory", "greedy", "short")
    space = Space({"kind": Choice(tuple(Option(kind) for kind in kinds))})
    driver = open_driver(tmp_path / "search", space, len(kinds), Fifo(), Grid())

    def train(assignment: Assignment) -> Iterator[Report]:
        kind, trial = assignment.config.values["kind"], assignment.config.trial
        for point in (1, 3, 9):
            if point <= assignment.start:
                continue
            metrics = {"accuracy": 0.5}
            if point == 3 and kind == "nan":
                metrics = {"accuracy": float("nan")}
            if point == 3 and kind == "silent":
                metrics = {"loss": 0.1}
            if point == 3 and kind == "raises":
                raise KeyError("no such column")
            if point == 3 and kind == "short":
                return
            if point == 3 and kind == "killed" and assignment.attempt == 1:
                (Path(tmp_path) / "pid").write_text(str(os.getpid()))
                time.sleep(600)
            if point == 3 and kind in ("memory", "greedy"):
                limits = resource.getrlimit(resource.RLIMIT_AS)
                in_use = int(Path("/proc/self/statm").read_text().split()[0]) * 4096
                resource.setrlimit(resource.RLIMIT_AS, (in_use + (1 << 30), limits[1]))
                try:
                    bytearray((3 << 29) // (assignment.shrink if kind == "memory" else 1))
                finally:
                    resource.setrlimit(resource.RLIMIT_AS, limits)
            yield Report(trial, point, metrics, float(point), f"c{point}")

    killer = threading.Thread(target=kill_by_process_id, args=(tmp_path / "pid",), daemon=True)
    killer.start()
    Ray().run(driver, train)
    driver.finish()

    found = {r.config.values["kind"]: r for r in driver.history.trials.values()}
    ends = {kind: (r.state, [f.kind for f in r.failures]) for kind, r in found.items()}
    assert ends == {
        "fine": ("completed", []),
        "nan": ("diverged", ["diverged"]),
        "silent": ("failed", ["metric_missing"]),
        "raises": ("failed", ["user_error"]),
        "killed": ("completed", ["infrastructure"]),
        "memory": ("completed", ["out_of_memory"]),
        "greedy": ("failed", ["out_of_memory"] * 4),
        "short": ("failed", ["metric_missing"]),
    }
    assert "no such column" in found["raises"].reason


def kill_by_process_id(file: Path) -> None:
    while not file.exists() or not file.read_text():
        time.sleep(0.05)
    os.kill(int(file.read_text()), signal.SIGKILL)


def test_workers_are_processes_that_ray_has_started_ahead(tmp_path) -> None:
    ray.shutdown()
    connect(None, trusts_open=False)
    until = time.monotonic() + 60
    while len(ahead := idle_workers()) < (os.cpu_count() or 1) and time.monotonic() < until:
        time.sleep(0.1)
    # Neither an autoscaler nor who sends workers' logs to a driver, which takes none.
    assert not [line for line in commands() if "monitor.py" in line]
    assert [line for line in commands() if "raylet" in line]
    trials = os.cpu_count() or 1
    driver = open_driver(tmp_path / "search", SPACE, trials, Fifo(), Random())

    def train(assignment: Assignment) -> Iterator[Report]:
        (tmp_path / f"{os.getpid()}.pid").touch()
        until = time.monotonic() + 60
        while len(list(tmp_path.glob("*.pid"))) < trials and time.monotonic() < until:
            time.sleep(0.1)
        yield Report(assignment.config.trial, 9, {"accuracy": 0.5}, 0.1)

    Ray().run(driver, train)
    assert {int(path.stem) for path in tmp_path.glob("*.pid")} == ahead


def commands() -> list[str]:
    """Of the processes below this one."""
    found = []
    for one in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            found.append(" ".join(one.cmdline()))
    return found


def idle_workers() -> set[int]:
    """Processes of the Ray below this one that have no work yet."""
    below = psutil.Process().children(recursive=True)
    found = set()
    for one in below:
        with suppress(psutil.Error):
            found |= {one.pid} if one.cmdline()[:1] == ["ray::IDLE"] else set()
    return found


def test_workers_stay_resident_and_no_more_trials_run_than_there_are_slots(tmp_path) -> None:
    driver = open_driver(tmp_path / "search", Space({"x": Float(0.0, 1.0)}), 30, Asha(), Random())

    def train(assignment: Assignment) -> Iterator[Report]:
        with (Path(tmp_path) / "processes").open("a") as file:
            file.write(f"{os.getpid()}\n")
        for point in (1, 3, 9):
            if point > assignment.start:
                accuracy = float(assignment.config.values["x"])
                yield Report(assignment.config.trial, point, {"accuracy": accuracy}, 0.1)

    most = 0

    def watch(event) -> None:
        nonlocal most
        most = max(most, len(driver.active))

    driver.watch(watch)
    Ray(cpus=1).run(driver, train)
    driver.finish()
    assert len(driver.history.trials) == 30
    assert driver.history.in_state("completed")
    assert most <= os.cpu_count()
    processes = (tmp_path / "processes").read_text().split()
    assert len(set(processes)) <= os.cpu_count()
    assert len(processes) > 30


def test_one_worker_takes_the_same_decisions_as_the_inline_runner(tmp_path) -> None:
    def train(assignment: Assignment) -> Iterator[Report]:
        for point in (1, 3, 9):
            if point > assignment.start:
                accuracy = float(assignment.config.values["x"]) * (1 - 0.5 / point)
                yield Report(assignment.config.trial, point, {"accuracy": accuracy}, 0.1)

    taken = []
    for name, runner in (("ray", Ray(cpus=os.cpu_count())), ("inline", Inline())):
        space = Space({"x": Float(0.0, 1.0)})
        driver = open_driver(tmp_path / name, space, 20, Asha(), Random())
        runner.run(driver, train)
        driver.finish()
        taken.append({t: (r.state, r.reason, r.resource) for t, r in driver.history.trials.items()})
    assert taken[0] == taken[1]


def test_an_error_of_the_driver_ends_the_search_at_once(tmp_path) -> None:
    def fill_disk(event: Event) -> None:
        if event["kind"] == "reported" and event["resource"] == 3:
            raise OSError(errno.ENOSPC, "No space left on device")

    def train(assignment: Assignment) -> Iterator[Report]:
        trial = assignment.config.trial
        yield Report(trial, 1, {"accuracy": 0.5}, 1.0)
        if trial == "t0001":
            yield Report(trial, 3, {"accuracy": 0.5}, 3.0)
        time.sleep(600)

    driver = open_driver(tmp_path / "search", SPACE, 8, Fifo(), Random())
    driver.watch(fill_disk)
    with pytest.raises(OSError, match="No space left"):
        Ray().run(driver, train)
    assert [record.failures for record in driver.history.trials.values()] == [[], []]


def test_interrupted_trials_leave_and_the_interrupt_passes(tmp_path) -> None:
    driver = open_driver(tmp_path / "search", SPACE, 8, Fifo(), Random())
    mark = Path(tmp_path) / "pause"

    def train(assignment: Assignment) -> Iterator[Report]:
        yield Report(assignment.config.trial, 1, {"accuracy": 0.5}, 1.0)
        while not mark.exists():
            time.sleep(0.01)
        raise Interrupted("a checkpoint was saved")

    def pause(event: Event) -> None:
        if event["kind"] == "reported":
            driver.interrupted = True
            mark.touch()

    driver.watch(pause)
    with pytest.raises(Interrupted):
        Ray().run(driver, train)
    states = {record.state for record in driver.history.trials.values()}
    assert states == {"running"}
    assert driver.active == set()


def test_a_trial_that_no_node_can_hold_is_refused_with_the_largest_node_named(tmp_path) -> None:
    driver = open_driver(tmp_path, Space({"x": Float(0.0, 1.0)}), 1, Fifo(), Random())
    with pytest.raises(FixEnvironment, match=r"asks for 512 CPUs.*largest node has"):
        Ray(cpus=512).run(driver, lambda assignment: iter(()))


def test_why_a_worker_could_not_start_is_told(tmp_path, monkeypatch) -> None:
    (tmp_path / "left_at_home.py").write_text("def train(assignment):\n    yield\n")
    monkeypatch.syspath_prepend(tmp_path)
    train = importlib.import_module("left_at_home").train
    driver = open_driver(tmp_path / "search", Space({"x": Float(0.0, 1.0)}), 1, Asha(), Random())
    Ray(cpus=1).run(driver, train)
    (record,) = driver.history.trials.values()
    assert record.state == "failed"
    assert {failure.message for failure in record.failures} == {
        "the worker could not start: ModuleNotFoundError: No module named 'left_at_home'"
    }
