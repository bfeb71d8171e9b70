"""What the runners in this process keep to, and what a trial's exception means."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest

from toprung.core.clock import SystemClock
from toprung.core.errors import GiveUp, Interrupted, RetryTrial, TrialDiverged
from toprung.search.driver import Driver
from toprung.search.plan import Plan
from toprung.search.runners import registry
from toprung.search.runners._base import Runner, classify
from toprung.search.runners.inline import Inline
from toprung.search.runners.virtual import Virtual, simulate, synthetic_curve
from toprung.search.schedulers.asha import Asha
from toprung.search.searchers.random import Random
from toprung.trial.config import Resource, TrialConfig
from toprung.trial.journal import Journal, read_events
from toprung.trial.report import Metric, Report
from toprung.trial.space import Float, Int, Space

RESOURCE = Resource("examples", 512, 13824, (512, 1024, 1536, 4608, 13824))
F1 = Metric("macro_f1")
SPACE = Space({"learning_rate": Float(1e-5, 1e-1, log=True), "rank": Int(4, 64, log=True)})
TRAIN = simulate(synthetic_curve(F1, RESOURCE), RESOURCE, F1)


class OutOfMemoryError(RuntimeError):
    """Named as torch's own error is."""


def open_driver(
    folder: Path, runner: Runner, trials: int = 12, rule: str = "promote", watchers=()
) -> tuple[Driver, Journal]:
    scheduler, searcher = Asha(rule=rule), Random()
    scheduler.prepare(RESOURCE, F1)
    searcher.prepare(SPACE, 7)
    journal = Journal(folder, runner.clock, durable=False)
    plan = Plan(F1, RESOURCE, trials, seed=7)
    return Driver(plan, scheduler, searcher, journal, watchers=watchers), journal


@pytest.fixture(params=["inline", "virtual"])
def runner(request) -> Runner:
    return registry.get(request.param)()


def states(driver: Driver) -> dict[str, str]:
    return {trial: record.state for trial, record in driver.history.trials.items()}


def test_a_search_runs_until_every_trial_has_ended(runner, tmp_path) -> None:
    driver, _ = open_driver(tmp_path, runner)
    runner.run(driver, TRAIN)
    driver.finish()
    assert len(driver.history.trials) == 12
    assert set(states(driver).values()) == {"completed", "stopped"}
    assert driver.active == set()


def test_a_paused_trial_goes_on_from_where_it_was(runner, tmp_path) -> None:
    starts: list[tuple[str, int]] = []

    def train(assignment):
        starts.append((assignment.config.trial, assignment.start))
        yield from TRAIN(assignment)

    driver, _ = open_driver(tmp_path, runner)
    runner.run(driver, train)
    assert any(start == 512 for _, start in starts)
    assert len(starts) == len(set(starts))
    for record in driver.history.trials.values():
        points = [report.resource for report in record.reports]
        assert points == list(RESOURCE.points[: len(points)])


def test_stopping_a_trial_closes_its_generator(runner, tmp_path) -> None:
    opened, closed = [], []

    def train(assignment):
        opened.append(assignment.config.trial)
        try:
            yield from TRAIN(assignment)
        finally:
            closed.append(assignment.config.trial)

    driver, _ = open_driver(tmp_path, runner, rule="stop")
    runner.run(driver, train)
    assert sorted(opened) == sorted(closed)


def faulty(assignment):
    """One trial of each way to fail; the others train."""
    trial = assignment.config.trial
    if trial == "t0001":
        raise ValueError("no such rank")
    for report in TRAIN(assignment):
        if trial == "t0002":
            yield Report(trial, report.resource, {"macro_f1": float("nan")}, report.seconds)
        elif trial == "t0003":
            yield Report(trial, report.resource, {"loss": 0.1}, report.seconds)
        elif trial == "t0004" and assignment.attempt < 3:
            raise ConnectionResetError("the worker went away")
        elif trial == "t0005" and assignment.shrink < 4:
            raise MemoryError
        elif trial == "t0006":
            return
        elif trial == "t0007":
            raise TrialDiverged("loss is nan")
        elif trial == "t0008":
            raise OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        else:
            yield report


def test_a_failing_trial_leaves_the_others_intact(runner, tmp_path) -> None:
    driver, _ = open_driver(tmp_path, runner)
    runner.run(driver, faulty)
    driver.finish()
    records = driver.history.trials
    kinds = {trial: [f.kind for f in record.failures] for trial, record in records.items()}
    assert kinds["t0001"] == ["user_error"]
    assert kinds["t0002"] == kinds["t0007"] == ["diverged"]
    assert kinds["t0003"] == ["metric_missing"]
    assert kinds["t0004"] == ["infrastructure"] * 2
    assert kinds["t0005"] == ["out_of_memory"] * 2
    assert kinds["t0006"] == ["user_error"]
    assert kinds["t0008"] == ["out_of_memory"] * 4
    assert states(driver)["t0002"] == states(driver)["t0007"] == "diverged"
    assert {states(driver)[trial] for trial in ("t0004", "t0005")} <= {"completed", "stopped"}
    assert all(not kinds[f"t{number:04d}"] for number in range(9, 13))
    assert "completed" in states(driver).values()


def test_a_score_that_is_not_finite_never_reaches_the_scheduler(runner, tmp_path) -> None:
    driver, _ = open_driver(tmp_path, runner)
    runner.run(driver, faulty)
    events = read_events(tmp_path / "journal.jsonl")
    decided = {event["trial"] for event in events if event["kind"] == "decided"}
    assert decided
    assert decided.isdisjoint({"t0001", "t0002", "t0003", "t0006", "t0007", "t0008"})


def test_an_error_of_the_driver_is_not_taken_for_the_trials(runner, tmp_path) -> None:
    def fill_disk(event) -> None:
        if event["kind"] == "reported":
            raise OSError(errno.ENOSPC, "No space left on device")

    driver, _ = open_driver(tmp_path, runner, watchers=[fill_disk])
    with pytest.raises(OSError, match="No space left"):
        runner.run(driver, TRAIN)
    assert not any(record.failures for record in driver.history.trials.values())


def test_an_interrupted_trial_is_left_for_later_and_the_interrupt_passes(runner, tmp_path) -> None:
    def train(assignment):
        if assignment.config.trial == "t0003":
            raise Interrupted("a checkpoint was saved")
        yield from TRAIN(assignment)

    driver, _ = open_driver(tmp_path, runner)
    with pytest.raises(Interrupted):
        runner.run(driver, train)
    assert states(driver)["t0003"] == "running"
    assert not driver.history.trials["t0003"].failures
    assert driver.active == set()


def test_keyboard_interrupts_pass_through(runner, tmp_path) -> None:
    def train(assignment):
        raise KeyboardInterrupt
        yield

    driver, _ = open_driver(tmp_path, runner)
    with pytest.raises(KeyboardInterrupt):
        runner.run(driver, train)
    assert set(states(driver).values()) == {"running"}


def test_an_interrupted_driver_ends_the_run_and_a_later_one_completes_it(runner, tmp_path) -> None:
    driver, journal = open_driver(tmp_path, runner)
    reports = 0

    def train(assignment):
        nonlocal reports
        for report in TRAIN(assignment):
            reports += 1
            if reports == 9:
                driver.interrupt()
            yield report

    with pytest.raises(Interrupted):
        runner.run(driver, train)
    journal.close()
    again = type(runner)()
    resumed, _ = open_driver(tmp_path, again)
    again.run(resumed, TRAIN)
    resumed.finish()
    whole_runner = type(runner)()
    whole, _ = open_driver(tmp_path / "whole", whole_runner)
    whole_runner.run(whole, TRAIN)
    whole.finish()
    assert states(resumed) == states(whole)


def test_the_inline_runner_trains_in_this_process_one_trial_at_a_time(tmp_path) -> None:
    at_work: list[str] = []

    def train(assignment):
        assert at_work == []
        at_work.append(assignment.config.trial)
        try:
            yield from TRAIN(assignment)
        finally:
            at_work.remove(assignment.config.trial)

    runner = Inline()
    driver, _ = open_driver(tmp_path, runner)
    runner.run(driver, train)
    assert isinstance(runner.clock, SystemClock)


def test_more_virtual_workers_finish_sooner(tmp_path) -> None:
    ends = []
    for workers in (1, 4):
        runner = Virtual(workers=workers)
        driver, _ = open_driver(tmp_path / str(workers), runner, 24)
        runner.run(driver, TRAIN)
        ends.append(driver.elapsed())
    assert ends[0] > 2 * ends[1]


def test_the_synthetic_curve_depends_on_the_values_and_rises_with_the_resource() -> None:
    curve = synthetic_curve(F1, RESOURCE)
    finals = {}
    for rate in (1e-5, 1e-4, 1e-3, 1e-2):
        config = TrialConfig("t0001", {"learning_rate": rate}, 0)
        values = [curve(config, point)[0] for point in RESOURCE.points]
        assert values[-1] > values[0]
        finals[rate] = values[-1]
    assert max(finals.values()) - min(finals.values()) > 0.1
    loss = synthetic_curve(Metric("loss", maximize=False), RESOURCE)
    config = TrialConfig("t0001", {"learning_rate": 1e-3}, 0)
    assert loss(config, 13824)[0] < loss(config, 512)[0]


def test_a_runner_without_workers_is_refused() -> None:
    with pytest.raises(ValueError, match="workers: 0 is below 1"):
        Virtual(workers=0)


def chained(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (RetryTrial("the node is going down"), "infrastructure"),
        (ConnectionRefusedError("peer"), "infrastructure"),
        (TimeoutError(), "infrastructure"),
        (OSError(errno.ENOSPC, "No space left on device"), "storage"),
        (OSError(errno.EROFS, "Read-only file system"), "storage"),
        (OSError("8192 requested and 4096 written"), "storage"),
        (Exception('I/O error: Os { code: 28, message: "No space left on device" }'), "storage"),
        (OSError(errno.EIO, "Input/output error"), "infrastructure"),
        (OSError(errno.ESTALE, "Stale file handle"), "infrastructure"),
        (MemoryError(), "out_of_memory"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "out_of_memory"),
        (OutOfMemoryError("Tried to allocate 2 GiB"), "out_of_memory"),
        (RuntimeError("CUDA out of memory."), "out_of_memory"),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
            "out_of_memory",
        ),
        (TrialDiverged("loss is nan at step 3"), "diverged"),
        (ValueError("out of memory of what came before"), "user_error"),
        (FileNotFoundError(errno.ENOENT, "No such file", "x"), "user_error"),
        (GiveUp("no"), "user_error"),
        (AssertionError(), "user_error"),
        (chained(RuntimeError("batch 7 failed"), MemoryError()), "out_of_memory"),
    ],
    ids=lambda value: value if isinstance(value, str) else repr(value)[:40],
)
def test_an_exception_is_classified_by_what_is_to_be_done(error, kind) -> None:
    failure = classify(error)
    assert failure.kind == kind
    assert failure.message.strip()
    assert "\n" not in failure.message


def test_a_user_error_is_told_with_its_type_and_first_line() -> None:
    message = classify(ValueError("rank 0 is too small\n  and more")).message
    assert message == "ValueError: rank 0 is too small"


def test_the_journal_of_a_simulated_search_holds_plain_json(tmp_path) -> None:
    runner = Virtual()
    driver, _ = open_driver(tmp_path, runner)
    runner.run(driver, faulty)
    for line in (tmp_path / "journal.jsonl").read_text().splitlines():
        json.loads(line, parse_constant=pytest.fail)
