"""Workers on a real Ray that stop, are told to go, or are taken by the kernel."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from toprung.core.clock import SystemClock
from toprung.core.errors import Interrupted
from toprung.core.notice import has_notice
from toprung.search.driver import Driver
from toprung.search.plan import Plan
from toprung.search.runners.ray import Ray
from toprung.search.schedulers.fifo import Fifo
from toprung.search.searchers.random import Random
from toprung.search.watchdog import Watchdog
from toprung.trial.config import Assignment, Resource
from toprung.trial.journal import Event, Journal, read_events
from toprung.trial.report import Metric, Report
from toprung.trial.space import Float, Space

pytestmark = pytest.mark.timeout(120)
ACCURACY = Metric("accuracy")
RESOURCE = Resource("examples", 1, 9, (1, 3, 9))


@pytest.fixture
def driver(tmp_path: Path) -> Driver:
    scheduler, searcher = Fifo(), Random()
    scheduler.prepare(RESOURCE, ACCURACY)
    searcher.prepare(Space({"x": Float(0.0, 1.0)}), 7)
    journal = Journal(tmp_path / "search", SystemClock())
    return Driver(Plan(ACCURACY, RESOURCE, 2, seed=7), scheduler, searcher, journal)


def when(path: Path, driver: Driver, number: signal.Signals) -> list[float]:
    """Signals the process whose id turns up in a file; the search time of that, once it has."""
    moments: list[float] = []

    def wait() -> None:
        while not path.exists() or not path.read_text():
            time.sleep(0.02)
        moments.append(driver.elapsed())
        os.kill(int(path.read_text()), number)

    threading.Thread(target=wait, daemon=True).start()
    return moments


def seconds_until_report(events: list[Event], moment: float) -> float:
    """From the moment of the fault to the next report of the trial that it struck."""
    return next(
        float(e["at"] - moment)
        for e in events
        if e["kind"] == "reported" and e["trial"] == "t0001" and e["at"] > moment
    )


def test_a_worker_that_is_stopped_is_killed_and_its_trial_tried_once_more(
    driver: Driver, tmp_path: Path, record_property
) -> None:
    def train(assignment: Assignment) -> Iterator[Report]:
        for point in (1, 3, 9):
            if point <= assignment.start:
                continue
            if point == 9 and assignment.config.trial == "t0001" and assignment.attempt == 1:
                (tmp_path / "pid").write_text(str(os.getpid()))
                time.sleep(600)
            yield Report(assignment.config.trial, point, {"accuracy": 0.5}, 0.1 * point)

    struck = when(tmp_path / "pid", driver, signal.SIGSTOP)
    Ray(watchdog=Watchdog(at_least=3.0, unknown=30.0)).run(driver, train)
    driver.finish()
    record = driver.history.trials["t0001"]
    assert [failure.kind for failure in record.failures] == ["hung"]
    assert (record.state, record.attempt) == ("completed", 2)
    stopped = int((tmp_path / "pid").read_text())
    assert not psutil.pid_exists(stopped) or psutil.Process(stopped).status() == "zombie"
    events = read_events(tmp_path / "search" / "journal.jsonl")
    record_property("recovery_seconds", seconds_until_report(events, struck[0]))


def test_a_worker_that_is_told_to_go_saves_its_trial_which_goes_on_elsewhere_uncharged(
    driver: Driver, tmp_path: Path, record_property
) -> None:
    saved = tmp_path / "saved"

    def train(assignment: Assignment) -> Iterator[Report]:
        for point in (1, 3, 9):
            if point <= assignment.start:
                continue
            if point == 9 and assignment.config.trial == "t0001" and not saved.exists():
                (tmp_path / "pid").write_text(str(os.getpid()))
                while not has_notice():
                    time.sleep(0.01)
                saved.write_text(str(os.getpid()))
                raise Interrupted("a checkpoint was saved")
            yield Report(assignment.config.trial, point, {"accuracy": 0.5}, 0.1 * point)

    struck = when(tmp_path / "pid", driver, signal.SIGTERM)
    Ray().run(driver, train)
    driver.finish()
    record = driver.history.trials["t0001"]
    assert (record.state, record.attempt, record.failures) == ("completed", 1, [])
    events = read_events(tmp_path / "search" / "journal.jsonl")
    assert [e["trial"] for e in events if e["kind"] == "left"] == ["t0001"]
    record_property("recovery_seconds", seconds_until_report(events, struck[0]))
    gone = int(saved.read_text())
    until = time.monotonic() + 20
    while psutil.pid_exists(gone) and psutil.Process(gone).status() != "zombie":
        assert time.monotonic() < until
        time.sleep(0.1)


@pytest.fixture
def small_group() -> Iterator[Path]:
    """A control group of little memory; the kernel takes who wants more."""
    group = Path("/sys/fs/cgroup/memory") / f"toprung-test-{os.getpid()}"
    try:
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text(str(400 << 20))
    except OSError as error:
        pytest.skip(f"no control group of memory can be made here: {error}")
    yield group
    for _ in range(50):
        try:
            group.rmdir()
            return
        except OSError:
            time.sleep(0.1)


def test_a_worker_that_the_kernel_takes_for_its_memory_goes_on_with_half_the_micro_batch(
    driver: Driver, small_group: Path
) -> None:
    def train(assignment: Assignment) -> Iterator[Report]:
        for point in (1, 3, 9):
            if point <= assignment.start:
                continue
            if point == 3 and assignment.config.trial == "t0001" and assignment.shrink == 1:
                (small_group / "cgroup.procs").write_text(str(os.getpid()))
                held = [bytearray(os.urandom(1 << 20)) for _ in range(1 << 10)]
                raise AssertionError(f"{len(held)} MiB were to be had")
            yield Report(assignment.config.trial, point, {"accuracy": 0.5}, 0.1 * point)

    Ray().run(driver, train)
    driver.finish()
    record = driver.history.trials["t0001"]
    assert [failure.kind for failure in record.failures] == ["out_of_memory"]
    assert (record.state, record.shrink) == ("completed", 2)


def test_a_worker_that_is_killed_loses_nothing_but_its_last_stretch(
    driver: Driver, tmp_path: Path, record_property
) -> None:
    def train(assignment: Assignment) -> Iterator[Report]:
        for point in (1, 3, 9):
            if point <= assignment.start:
                continue
            if point == 9 and assignment.config.trial == "t0001" and assignment.attempt == 1:
                (tmp_path / "pid").write_text(str(os.getpid()))
                time.sleep(600)
            yield Report(assignment.config.trial, point, {"accuracy": 0.5}, 0.1 * point)

    struck = when(tmp_path / "pid", driver, signal.SIGKILL)
    Ray().run(driver, train)
    driver.finish()
    record = driver.history.trials["t0001"]
    assert [failure.kind for failure in record.failures] == ["infrastructure"]
    assert record.state == "completed"
    assert [report.resource for report in record.reports] == [1, 3, 9]
    events = read_events(tmp_path / "search" / "journal.jsonl")
    record_property("recovery_seconds", seconds_until_report(events, struck[0]))
