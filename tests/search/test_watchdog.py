"""A trial that hangs is told from one that is slow, killed, tried once more, then failed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

from toprung.core.clock import VirtualClock
from toprung.search.driver import Driver
from toprung.search.plan import Plan
from toprung.search.runners._desk import Desk
from toprung.search.runners._worker import GO_ON, REST, read_order
from toprung.search.schedulers.asha import Asha
from toprung.search.searchers.random import Random
from toprung.search.watchdog import Watchdog, usual_seconds
from toprung.trial.config import Resource, TrialConfig
from toprung.trial.decision import Failure
from toprung.trial.history import History, TrialRecord
from toprung.trial.journal import Journal, read_events
from toprung.trial.report import Metric, Report
from toprung.trial.space import Float, Space

pytestmark = pytest.mark.timeout(60)
RESOURCE = Resource("examples", 1, 9, (1, 3, 9))
ACCURACY = Metric("accuracy")


def history_of(*seconds: tuple[float, ...]) -> History:
    """Trials that took so many seconds until 1, 3 and 9."""
    history = History()
    for number, times in enumerate(seconds, 1):
        record = TrialRecord(TrialConfig(f"t{number:04d}", {}, 0), "random")
        record.reports = [
            Report(record.config.trial, point, {"accuracy": 0.5}, at)
            for point, at in zip((1, 3, 9), times, strict=False)
        ]
        history.trials[record.config.trial] = record
    return history


def test_the_usual_time_is_the_median_of_the_same_stretch() -> None:
    history = history_of((10.0, 30.0), (20.0, 60.0), (90.0,))
    assert usual_seconds(history, 0, 1) == 20.0
    assert usual_seconds(history, 1, 3) == 30.0


def test_where_nobody_has_been_the_pace_elsewhere_counts() -> None:
    assert usual_seconds(history_of((10.0, 30.0)), 3, 9) == 60.0
    assert usual_seconds(History(), 0, 1) is None


def test_only_trials_of_the_same_phase_say_what_is_usual() -> None:
    history = history_of((10.0, 30.0), (1200.0,))
    first, second = history.trials.values()
    first.phase, second.phase = 1, 2
    assert usual_seconds(history, 0, 1, phase=2) == 1200.0
    late = TrialRecord(TrialConfig("t0009", {}, 0), "random", phase=3)
    assert Watchdog().judge(7200.0, late, 1, history) == ""


def test_ten_times_the_median_is_too_long_but_never_less_than_is_always_granted() -> None:
    slow = TrialRecord(TrialConfig("t0009", {}, 0), "random")
    history = history_of((100.0,), (100.0,))
    assert Watchdog().judge(999.0, slow, 1, history) == ""
    assert "10 times the median" in Watchdog().judge(1001.0, slow, 1, history)
    quick = history_of((0.5,))
    assert Watchdog().judge(599.0, slow, 1, quick) == ""
    assert Watchdog().judge(601.0, slow, 1, quick)
    assert Watchdog().judge(7200.0, slow, 1, History()) == ""
    assert "no trial has reported yet" in Watchdog().judge(21601.0, slow, 1, History())


class Hanging:
    """A worker that falls silent at a report of a trial; time goes on while it is waited for."""

    def __init__(self, clock: VirtualClock, hangs: list[str]) -> None:
        self.clock, self.hangs = clock, hangs
        self.killed = False
        self.all: list[Hanging] = []
        self.replaced: Callable[[], None] = lambda: None
        self.asked: list[Future[str]] = []
        self.reports: Iterator[Report] = iter(())
        self.number = 0

    def talk(self, word: str | None) -> Future[str]:
        answer: Future[str] = Future()
        self.asked.append(answer)
        for other in self.all:
            other.wake()
        if word not in (GO_ON, REST, None):
            order = read_order(word)
            self.reports = (
                Report(order.config.trial, point, {"accuracy": 0.5}, float(point))
                for point in (1, 3, 9)
                if point > order.start
            )
        report = None if word == REST else next(self.reports)
        if report is not None and report.trial in self.hangs:
            self.hangs.remove(report.trial)
            self.clock.move_to(self.clock.seconds() + 3600)
            return answer
        answer.set_result(self.said(report))
        return answer

    def wake(self) -> None:
        """One that was only stopped, and is thought dead, says what it has."""
        if self.killed and not self.asked[-1].done():
            late = Report("t0002", 1, {"accuracy": 0.9}, 1.0)
            self.asked[-1].set_result(self.said(late))

    def said(self, report: Report | None) -> str:
        self.number += 1
        said = {"number": self.number, "trial": report.trial if report else "", "waits": True}
        told = {"rests": True} if report is None else {"report": report.to_json()}
        return json.dumps([{**said, **told}])

    def leave(self) -> None:
        """Nothing."""

    def kill(self) -> None:
        self.killed = True
        self.replaced()


@pytest.mark.parametrize("hangs_again", [False, True])
def test_a_trial_that_hangs_is_tried_once_more_and_then_failed_with_that_reason(
    hangs_again: bool, tmp_path: Path
) -> None:
    clock = VirtualClock()
    scheduler, searcher = Asha(rule="stop"), Random()
    scheduler.prepare(RESOURCE, ACCURACY)
    searcher.prepare(Space({"x": Float(0.0, 1.0)}), 7)
    journal = Journal(tmp_path, clock, durable=False)
    driver = Driver(Plan(ACCURACY, RESOURCE, 3, seed=7), scheduler, searcher, journal)
    desk = Desk(driver, 1, lambda error: Failure("infrastructure", str(error)))
    hangs = ["t0002"] * (1 + hangs_again)
    workers = [Hanging(clock, hangs) for _ in range(3)]
    numbered = iter(enumerate(workers))

    def come() -> None:
        number, worker = next(numbered)
        worker.all, worker.replaced = workers, come
        desk.come(f"w{number}", worker)

    come()
    desk.serve()
    record = driver.history.trials["t0002"]
    assert [failure.kind for failure in record.failures] == ["hung"] * (1 + hangs_again)
    killed = [worker for worker in workers if worker.killed]
    assert len(killed) == 1 + hangs_again
    if hangs_again:
        assert record.state == "failed"
        assert "hung: no report at 1 for 3600 s" in record.reason
        assert "(after 1 retry)" in record.reason
    else:
        assert (record.attempt, record.state) != (1, "failed")
    assert killed[0].asked[-1].done()
    reports = [
        (event["resource"], event["metrics"]["accuracy"])
        for event in read_events(journal.path)
        if event["kind"] == "reported" and event["trial"] == "t0002"
    ]
    assert reports == ([] if hangs_again else [(1, 0.5), (3, 0.5), (9, 0.5)][: len(reports)])
    assert bool(reports) != hangs_again


def test_time_that_is_spent_waiting_for_room_is_nobodys_silence(tmp_path: Path) -> None:
    clock = VirtualClock()

    class Patient:
        def wait(self, why: str, seconds: float) -> bool:
            clock.move_to(clock.seconds() + 50000)
            return True

        def over(self) -> None:
            """Nothing."""

    with Journal(tmp_path, clock, durable=False, patience=Patient()) as journal:
        clock.move_to(5.0)
        assert journal.wait("No space left on device", 60.0)
        assert journal.elapsed() == 5.0
