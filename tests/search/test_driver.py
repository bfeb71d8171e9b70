"""The driver: what it journals, what it decides, and how it goes on after a cut."""

from __future__ import annotations

import json
import resource as limits
from pathlib import Path

import pytest

from toprung.core.clock import VirtualClock
from toprung.core.errors import FixEnvironment, GiveUp
from toprung.search.driver import Driver
from toprung.search.failures import why_over
from toprung.search.plan import Plan
from toprung.search.schedulers.asha import Asha
from toprung.search.searchers.random import Random
from toprung.trial.config import Resource
from toprung.trial.decision import Continue, Failure, Pause, Stop
from toprung.trial.journal import Journal, read_events
from toprung.trial.report import Metric, Report
from toprung.trial.space import Float, Space

RESOURCE = Resource("examples", 1, 9, (1, 2, 3, 9))
ACCURACY = Metric("accuracy")


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


def open_driver(
    folder: Path, clock: VirtualClock, trials: int = 4, *, finalists: int = 0, **plan: float
) -> Driver:
    scheduler, searcher = Asha(rule="promote"), Random()
    scheduler.prepare(RESOURCE, ACCURACY, finalists=finalists)
    searcher.prepare(Space({"x": Float(0.0, 1.0)}), 7)
    journal = Journal(folder, clock, durable=False)
    driver = Driver(Plan(ACCURACY, RESOURCE, trials, seed=7, **plan), scheduler, searcher, journal)
    driver.journal_for_tests = journal  # type: ignore[attr-defined]
    return driver


def close(driver: Driver) -> None:
    driver.journal_for_tests.close()  # type: ignore[attr-defined]


def report(trial: str, resource: int, accuracy: float) -> Report:
    return Report(trial, resource, {"accuracy": accuracy}, float(resource), f"c{resource}")


def test_a_report_is_journaled_before_its_decision_and_the_decision_before_it_is_told(
    tmp_path, clock
) -> None:
    driver = open_driver(tmp_path, clock)
    assignment = driver.assign()
    decision = driver.report(report(assignment.config.trial, 1, 0.5))
    kinds = [event["kind"] for event in read_events(tmp_path / "journal.jsonl")]
    assert kinds == ["opened", "suggested", "started", "reported", "decided"]
    assert isinstance(decision, Pause)
    assert "0.5" in decision.reason


def test_a_late_report_of_a_trial_that_left_changes_nothing(tmp_path, clock) -> None:
    driver = open_driver(tmp_path, clock)
    trial = driver.assign().config.trial
    driver.report(report(trial, 1, 0.5))
    before = (tmp_path / "journal.jsonl").read_bytes()
    assert isinstance(driver.report(report(trial, 1, 0.9)), Stop)
    assert (tmp_path / "journal.jsonl").read_bytes() == before


def test_a_second_driver_on_the_same_search_is_refused(tmp_path, clock) -> None:
    driver = open_driver(tmp_path, clock)
    with pytest.raises(FixEnvironment, match="another driver"):
        open_driver(tmp_path, clock)
    close(driver)
    close(open_driver(tmp_path, clock))


def test_each_opening_writes_under_a_higher_epoch(tmp_path, clock) -> None:
    for _ in range(3):
        close(open_driver(tmp_path, clock))
    assert [event["epoch"] for event in read_events(tmp_path / "journal.jsonl")] == [1, 2, 3]


def test_a_diverged_trial_is_over_and_the_next_one_is_assigned(tmp_path, clock) -> None:
    driver = open_driver(tmp_path, clock)
    trial = driver.assign().config.trial
    decision = driver.report(report(trial, 1, float("nan")))
    assert isinstance(decision, Stop)
    assert driver.history.trials[trial].state == "diverged"
    assert driver.assign().config.trial == "t0002"


def test_a_report_without_the_metric_ends_that_trial_alone(tmp_path, clock) -> None:
    driver = open_driver(tmp_path, clock)
    trial = driver.assign().config.trial
    driver.report(Report(trial, 1, {"loss": 0.5}, 1.0))
    record = driver.history.trials[trial]
    assert record.state == "failed"
    assert record.failures[0].kind == "metric_missing"
    assert driver.assign() is not None


def test_the_machines_faults_are_retried_from_the_checkpoint_three_times(tmp_path, clock) -> None:
    driver = open_driver(tmp_path, clock)
    trial = driver.assign().config.trial
    retries = 0
    while driver.fail(trial, Failure("infrastructure", "worker gone")).retry:
        retries += 1
        again = driver.assign()
        assert (again.config.trial, again.start, again.attempt) == (trial, 0, retries + 1)
    assert retries == 3
    assert driver.history.trials[trial].state == "failed"


def test_out_of_memory_halves_the_micro_batch(tmp_path, clock) -> None:
    driver = open_driver(tmp_path, clock)
    trial = driver.assign().config.trial
    driver.fail(trial, Failure("out_of_memory", "no memory"))
    assert driver.assign().shrink == 2


def test_a_users_error_is_not_retried(tmp_path, clock) -> None:
    driver = open_driver(tmp_path, clock)
    trial = driver.assign().config.trial
    verdict = driver.fail(trial, Failure("user_error", "ValueError: no"))
    assert not verdict.retry
    assert "ValueError: no" in driver.history.trials[trial].reason


def test_a_search_whose_trials_all_fail_alike_begins_no_sixth(tmp_path, clock) -> None:
    driver = open_driver(tmp_path, clock, trials=50)
    begun = 0
    while (assignment := driver.assign()) is not None:
        begun += 1
        driver.fail(assignment.config.trial, Failure("user_error", "KeyError: 'x'"))
    driver.finish()
    assert begun == 5
    assert "KeyError" in driver.history.closed


def test_a_spent_time_budget_begins_nothing_but_lets_one_trial_reach_the_last_rung(
    tmp_path, clock
) -> None:
    driver = open_driver(tmp_path, clock, seconds=10.0)
    trial = driver.assign().config.trial
    clock.move_to(11.0)
    driver.report(report(trial, 1, 0.5))
    climb = driver.assign()
    assert (climb.config.trial, climb.start) == (trial, 1)
    driver.report(report(trial, 3, 0.5))
    assert driver.assign().config.trial == trial
    driver.report(report(trial, 9, 0.5))
    assert driver.assign() is None
    driver.finish()
    assert "time budget" in driver.history.closed


def test_a_search_whose_trials_all_got_through_did_not_end_for_want_of_time(
    tmp_path, clock
) -> None:
    driver = open_driver(tmp_path, clock, trials=1, seconds=10.0)
    trial = driver.assign().config.trial
    for point in (1, 3):
        driver.report(report(trial, point, 0.5))
        assert driver.assign().config.trial == trial
    clock.move_to(11.0)
    driver.report(report(trial, 9, 0.5))
    assert driver.assign() is None
    driver.finish()
    assert driver.history.closed == "1 trial was tried"


def test_a_report_that_was_journaled_without_its_decision_is_decided_at_resume(
    tmp_path, clock
) -> None:
    driver = open_driver(tmp_path, clock)
    trial = driver.assign().config.trial
    driver.report(report(trial, 1, 0.5))
    close(driver)
    path = tmp_path / "journal.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:-1]))
    driver = open_driver(tmp_path, clock)
    assert driver.history.trials[trial].state == "paused"
    assert driver.assign().config.trial == "t0002"


def test_a_torn_last_line_is_dropped_and_a_damaged_one_is_named(tmp_path, clock) -> None:
    driver = open_driver(tmp_path, clock)
    driver.assign()
    close(driver)
    path = tmp_path / "journal.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"seq": 4, "ki')
    close(open_driver(tmp_path, clock))
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b"garbage\n" + b"".join(lines[2:]))
    with pytest.raises(FixEnvironment, match=r"journal\.jsonl:2"):
        open_driver(tmp_path, clock)


def test_a_journal_of_other_rules_is_refused(tmp_path, clock) -> None:
    driver = open_driver(tmp_path, clock)
    trial = driver.assign().config.trial
    driver.report(report(trial, 1, 0.5))
    close(driver)
    path = tmp_path / "journal.jsonl"
    events = [dict(event) for event in read_events(path)]
    events[-1] |= {"decision": "stop", "state": "stopped"}
    path.write_text("".join(json.dumps(event) + "\n" for event in events))
    with pytest.raises(GiveUp, match="other settings"):
        open_driver(tmp_path, clock)


def test_an_extended_search_goes_on_where_it_closed(tmp_path, clock) -> None:
    driver = open_driver(tmp_path, clock, trials=1)
    trial = driver.assign().config.trial
    while True:
        resource = RESOURCE.next_point(driver.history.trials[trial].resource)
        decision = driver.report(report(trial, resource, 0.5))
        if not isinstance(decision, Continue) and driver.assign() is None:
            break
    driver.finish()
    assert driver.history.closed is not None
    driver.extend(2)
    assert driver.assign().config.trial == "t0002"


def test_a_slot_that_would_idle_trains_likely_finalists_as_long_as_others_train(
    tmp_path, clock
) -> None:
    driver = open_driver(tmp_path, clock, trials=4, finalists=2)
    running = [driver.assign().config.trial for _ in range(4)]
    for trial, accuracy in zip(running[:3], (0.4, 0.6, 0.5), strict=True):
        driver.report(report(trial, 1, accuracy))
    # One of three goes on by the rule, the next best in a slot of its own, and no third.
    taken = [driver.assign(), driver.assign()]
    assert [(one.config.trial, one.start) for one in taken] == [("t0002", 1), ("t0003", 1)]
    assert driver.assign() is None
    promoted = [e for e in read_events(tmp_path / "journal.jsonl") if e["kind"] == "promoted"]
    assert [event["by"] for event in promoted] == ["rule", "ahead"]
    assert promoted[1]["reason"].endswith("a slot is free, and 2 will be trained to the end")
    # Whoever opens the search again takes the same decisions, and goes on with the same trials.
    close(driver)
    driver = open_driver(tmp_path, clock, trials=4, finalists=2)
    again = {driver.assign().config.trial for _ in range(3)}
    assert again == {"t0004", "t0002", "t0003"}
    assert driver.assign() is None
    # Where nothing trains, the finalists' turn comes after the search.
    driver.report(report("t0004", 1, 0.1))
    for trial, accuracy in (("t0002", 0.7), ("t0003", 0.6)):
        driver.report(report(trial, 3, accuracy))
    assert driver.assign().config.trial == "t0002"
    driver.report(report("t0002", 9, 0.8))
    assert driver.assign() is None


def test_a_spent_time_budget_trains_nobody_ahead(tmp_path, clock) -> None:
    driver = open_driver(tmp_path, clock, trials=3, finalists=2, seconds=10.0)
    running = [driver.assign().config.trial for _ in range(3)]
    for trial in running[:2]:
        driver.report(report(trial, 1, 0.5))
    clock.move_to(11.0)
    assert driver.assign() is None


def test_finalists_are_trained_to_the_last_rung_and_more_seeds_are_their_own_trials(
    tmp_path, clock
) -> None:
    driver = open_driver(tmp_path, clock, trials=2)
    for accuracy in (0.4, 0.6):
        driver.report(report(driver.assign().config.trial, 1, accuracy))
    driver.finish()
    wanted = driver.train_fully(["t0002"], seeds=2)
    assert wanted == ["t0002", "t0002-s1"]
    first, second = driver.assign(), driver.assign()
    assert (first.config.trial, first.start) == ("t0002", 1)
    assert (second.config.trial, second.start) == ("t0002-s1", 0)
    assert first.config.values == second.config.values
    assert first.config.seed != second.config.seed
    for resource in (2, 3):
        assert isinstance(driver.report(report("t0002", resource, 0.7)), Continue)
    assert driver.report(report("t0002", 9, 0.7)) == Stop(
        "fully trained for the ensemble", completed=True
    )
    assert why_over(driver.history, driver.plan, is_spent=False) == "2 trials were tried"


def test_ctrl_c_begins_nothing_more_and_a_resume_goes_on_with_what_ran(tmp_path, clock) -> None:
    driver = open_driver(tmp_path, clock)
    trial = driver.assign().config.trial
    driver.interrupt()
    assert driver.assign() is None
    close(driver)
    driver = open_driver(tmp_path, clock)
    assert driver.assign().config.trial == trial


def test_a_write_that_the_disk_refuses_leaves_nothing_behind(tmp_path, clock) -> None:
    driver = open_driver(tmp_path, clock)
    driver.assign()
    path = tmp_path / "journal.jsonl"
    whole = path.read_bytes()
    before = limits.getrlimit(limits.RLIMIT_FSIZE)
    limits.setrlimit(limits.RLIMIT_FSIZE, (len(whole) + 40, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            driver.report(report("t0001", 1, 0.5))
    finally:
        limits.setrlimit(limits.RLIMIT_FSIZE, before)
    assert path.read_bytes() == whole
    driver.report(report("t0001", 1, 0.5))
    kinds = [event["kind"] for event in read_events(path)]
    assert kinds == ["opened", "suggested", "started", "reported", "decided"]


def test_an_extension_starts_the_time_budget_anew(tmp_path, clock) -> None:
    driver = open_driver(tmp_path, clock, trials=50, seconds=10.0)
    trial = driver.assign().config.trial
    clock.move_to(11.0)
    for point in (1, 3, 9):
        driver.report(report(trial, point, 0.5))
        driver.assign()
    driver.finish()
    assert "time budget" in driver.history.closed
    driver.extend(2)
    assert driver.assign().config.trial == "t0002"


def test_members_that_were_cut_off_wait_until_an_extended_search_is_over(tmp_path, clock) -> None:
    driver = open_driver(tmp_path, clock, trials=1)
    trial = driver.assign().config.trial
    for point in (1, 3, 9):
        driver.report(report(trial, point, 0.5))
        driver.assign()
    driver.finish()
    (member,) = driver.train_fully([trial], anew=True)
    assert driver.assign().config.trial == member
    close(driver)
    again = open_driver(tmp_path, clock, trials=1)
    again.extend(1)
    assert again.assign().config.trial == "t0002"
    assert again.assign() is None
    again.fail("t0002", Failure("user_error", "KeyError: 'x'"))
    again.finish()
    assert again.train_fully([trial], anew=True) == [member]
    assert again.assign().config.trial == member


def test_an_extension_forgets_that_every_trial_failed_alike(tmp_path, clock) -> None:
    driver = open_driver(tmp_path, clock, trials=50)
    while (assignment := driver.assign()) is not None:
        driver.fail(assignment.config.trial, Failure("user_error", "KeyError: 'x'"))
    driver.finish()
    driver.extend(2)
    assert driver.assign().config.trial == "t0006"


def test_a_trial_that_goes_on_after_each_fault_of_a_machine_may_have_any_number(
    tmp_path, clock
) -> None:
    driver = open_driver(tmp_path, clock, trials=1)
    trial = driver.assign().config.trial
    for point in (1, 2, 3):
        for _ in range(3):
            assert driver.fail(trial, Failure("infrastructure", "the spot node went")).retry
            assert driver.assign().config.trial == trial
        driver.report(report(trial, point, 0.5))
        driver.assign()
    assert len(driver.history.trials[trial].failures) == 9
    assert driver.history.trials[trial].state == "running"


def work_off(driver: Driver, fails: set[int], message: str) -> int:
    """Gives every trial its reports, but fails those of some numbers; how many were begun."""
    begun: set[str] = set()
    while (assignment := driver.assign()) is not None:
        trial = assignment.config.trial
        begun.add(trial)
        if int(trial[1:]) in fails:
            driver.fail(trial, Failure("user_error", f"{message} in {trial}"))
            continue
        decision: object = Continue("")
        while isinstance(decision, Continue):
            point = RESOURCE.next_point(driver.history.trials[trial].resource)
            decision = driver.report(report(trial, point, 0.5))
    return len(begun)


def test_five_like_failures_in_a_row_halt_a_search_and_a_later_opening_goes_on(
    tmp_path, clock
) -> None:
    driver = open_driver(tmp_path, clock, trials=30)
    assert work_off(driver, set(range(4, 31)), "KeyError") == 8
    with pytest.raises(GiveUp, match=r"fails alike \(user_error\): KeyError.* then resume"):
        driver.refuse_streak()
    assert driver.history.closed is None
    states = {record.state for record in driver.history.trials.values()}
    assert "paused" in states or "completed" in states
    close(driver)
    driver = open_driver(tmp_path, clock, trials=30)
    work_off(driver, set(), "")
    driver.refuse_streak()
    driver.finish()
    assert len(driver.history.trials) == 30


def test_a_search_of_which_nothing_was_usable_goes_on_once_the_cause_is_mended(
    tmp_path, clock
) -> None:
    for opening in (1, 2):
        driver = open_driver(tmp_path, clock, trials=30)
        assert work_off(driver, set(range(1, 31)), f"cause {opening * 'x'}") == 5
        with pytest.raises(GiveUp, match="Mend the cause, then resume"):
            driver.refuse_streak()
        assert driver.history.closed is None
        close(driver)
    driver = open_driver(tmp_path, clock, trials=30)
    work_off(driver, set(), "")
    driver.refuse_streak()
    driver.finish()
    assert len(driver.history.trials) == 30
    assert "completed" in {record.state for record in driver.history.trials.values()}


def test_trials_that_all_diverge_end_a_search(tmp_path, clock) -> None:
    driver = open_driver(tmp_path, clock, trials=30)
    while (assignment := driver.assign()) is not None:
        driver.report(report(assignment.config.trial, 1, float("nan")))
    driver.refuse_streak()
    driver.finish()
    assert len(driver.history.trials) == 5
    assert driver.history.closed.startswith("every trial failed alike (diverged)")


def test_failures_that_others_pass_by_halt_nothing(tmp_path, clock) -> None:
    driver = open_driver(tmp_path, clock, trials=40)
    broken = {number for number in range(3, 41) if number % 9 in (1, 2, 3, 4)}
    work_off(driver, broken, "ValueError: no such option")
    driver.refuse_streak()
    driver.finish()
    assert len(driver.history.trials) == 40
    diverging = open_driver(tmp_path / "diverging", clock, trials=30)
    while (assignment := diverging.assign()) is not None:
        trial, resource = assignment.config.trial, assignment.start
        bad = 3 < int(trial[1:]) < 20
        point = RESOURCE.next_point(resource)
        diverging.report(report(trial, point, float("nan") if bad else 0.5))
    diverging.refuse_streak()


def test_storage_without_room_is_no_failure_of_a_trial(tmp_path, clock) -> None:
    told: list[str] = []

    class Waits:
        def wait(self, why: str, seconds: float) -> bool:
            told.append(why)
            return len(told) < 3

        def over(self) -> None:
            """Nothing."""

    scheduler, searcher = Asha(rule="promote"), Random()
    scheduler.prepare(RESOURCE, ACCURACY)
    searcher.prepare(Space({"x": Float(0.0, 1.0)}), 7)
    journal = Journal(tmp_path, clock, durable=False, patience=Waits())
    driver = Driver(Plan(ACCURACY, RESOURCE, 4, seed=7), scheduler, searcher, journal)
    trial = driver.assign().config.trial
    for _ in range(2):
        assert driver.fail(trial, Failure("storage", "No space left on device")).retry
        again = driver.assign()
        assert (again.config.trial, again.attempt) == (trial, 1)
    with pytest.raises(FixEnvironment, match="Make room, then resume"):
        driver.fail(trial, Failure("storage", "No space left on device"))
    record = driver.history.trials[trial]
    assert (record.failures, record.state) == ([], "running")
    kinds = [event["kind"] for event in read_events(tmp_path / "journal.jsonl")]
    assert kinds.count("held") == 2
    assert f"(trial {trial})" in told[0]
