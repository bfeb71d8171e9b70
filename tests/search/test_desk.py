"""The desk between driver and workers: late, double and lost words, and what is durable when."""

from __future__ import annotations

import errno
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from toprung.core.clock import VirtualClock
from toprung.core.errors import Interrupted
from toprung.search.driver import Driver
from toprung.search.plan import Plan
from toprung.search.runners._desk import Desk
from toprung.search.runners._worker import GO_ON, REST, Manners, Worker, read_order, write_order
from toprung.search.schedulers.asha import Asha
from toprung.search.searchers.random import Random
from toprung.trial.config import Assignment, Resource, TrialConfig
from toprung.trial.decision import Failure
from toprung.trial.journal import Journal, read_events
from toprung.trial.report import Metric, Report
from toprung.trial.space import Float, Space

pytestmark = pytest.mark.timeout(60)
RESOURCE = Resource("examples", 1, 9, (1, 2, 3, 4, 9))
ACCURACY = Metric("accuracy")
MANNERS = Manners(frozenset({2, 4}), ACCURACY)


def train(assignment: Assignment) -> Iterator[Report]:
    for point in RESOURCE.points:
        if point > assignment.start:
            accuracy = float(assignment.config.values["x"]) * (1 - 0.5 / point)
            yield Report(assignment.config.trial, point, {"accuracy": accuracy}, point / 10)


def open_driver(folder: Path, trials: int = 12, **more: Any) -> Driver:
    scheduler, searcher = Asha(), Random()
    scheduler.prepare(RESOURCE, ACCURACY)
    searcher.prepare(Space({"x": Float(0.0, 1.0)}), 7)
    journal = Journal(folder, VirtualClock(), durable=False)
    plan = Plan(ACCURACY, RESOURCE, trials, seed=7)
    return Driver(plan, scheduler, searcher, journal, **more)


def classify(error: BaseException) -> Failure:
    return Failure("infrastructure", str(error))


class Office:
    """Workers in this process; each answers at once, unless a test has it do otherwise."""

    def __init__(self, driver: Driver, slots: int = 3) -> None:
        self.desk = Desk(driver, slots, classify)
        self.driver = driver
        self.left: list[str] = []
        self.killed: list[str] = []

    def come(self, name: str, behave: Callable[[Straight, str | None], Future[str]]) -> Straight:
        line = Straight(self, name, behave)
        self.desk.come(name, line)
        return line

    def serve(self, workers: int = 3) -> None:
        for number in range(workers):
            self.come(f"w{number}", Straight.work)
        self.desk.serve()


class Straight:
    """A line to a worker without a thread."""

    def __init__(self, office: Office, name: str, behave: Callable[..., Future[str]]) -> None:
        self.office, self.name, self.behave = office, name, behave
        self.number = 0
        self.reports: Iterator[Report] = iter(())

    def talk(self, word: str | None) -> Future[str]:
        return self.behave(self, word)

    def leave(self) -> None:
        self.office.left.append(self.name)

    def kill(self) -> None:
        self.office.killed.append(self.name)

    def work(self, word: str | None) -> Future[str]:
        if word == REST:
            return said([self.numbered("", rests=True, waits=True)])
        if word not in (GO_ON, None):
            self.reports = train(read_order(word))
        batch = []
        for report in self.reports:
            waits = report.resource not in MANNERS.between
            batch.append(self.numbered(report.trial, report=report.to_json(), waits=waits))
            if waits:
                break
        return said(batch)

    def numbered(self, trial: str, **fields: Any) -> dict[str, Any]:
        self.number += 1
        return {"number": self.number, "trial": trial, **fields}


def said(batch: list[dict[str, Any]]) -> Future[str]:
    answer: Future[str] = Future()
    answer.set_result(json.dumps(batch))
    return answer


def lost(message: str) -> Future[str]:
    answer: Future[str] = Future()
    answer.set_exception(ConnectionError(message))
    return answer


def ends(driver: Driver) -> set[str]:
    return {record.state for record in driver.history.trials.values()}


def test_a_search_over_a_desk_ends_like_any_other(tmp_path) -> None:
    driver = open_driver(tmp_path, 30)
    Office(driver).serve()
    driver.finish()
    assert len(driver.history.trials) == 30
    assert ends(driver) == {"completed", "stopped"}
    for record in driver.history.trials.values():
        points = [report.resource for report in record.reports]
        assert points == list(RESOURCE.points[: len(points)])


def test_no_answer_leaves_before_its_decision_is_on_the_disk(tmp_path) -> None:
    driver = open_driver(tmp_path)
    office = Office(driver)
    seen: list[bool] = []

    def work(line: Straight, word: str | None) -> Future[str]:
        events = read_events(tmp_path / "journal.jsonl")
        reported = sum(event["kind"] == "reported" for event in events)
        answered = sum(event["kind"] in ("decided", "failed") for event in events)
        seen.append(reported == answered)
        if word not in (GO_ON, REST, None):
            trial = read_order(word).config.trial
            assert any(e["kind"] == "started" and e["trial"] == trial for e in events)
        return line.work(word)

    for number in range(3):
        office.come(f"w{number}", work)
    office.desk.serve()
    assert seen
    assert all(seen)


def test_what_comes_twice_counts_once(tmp_path) -> None:
    driver = open_driver(tmp_path)
    office = Office(driver)

    def stammer(line: Straight, word: str | None) -> Future[str]:
        return said(2 * json.loads(line.work(word).result()))

    for number in range(3):
        office.come(f"w{number}", stammer)
    office.desk.serve()
    driver.finish()
    assert ends(driver) == {"completed", "stopped"}
    for record in driver.history.trials.values():
        points = [report.resource for report in record.reports]
        assert points == list(RESOURCE.points[: len(points)])


def strip(one: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in one.items() if name != "number"}


def test_a_late_report_of_a_trial_that_has_left_changes_nothing(tmp_path) -> None:
    driver = open_driver(tmp_path)
    office = Office(driver)
    told: list[dict[str, Any]] = []

    def lag(line: Straight, word: str | None) -> Future[str]:
        batch = json.loads(line.work(word).result())
        left = [one for one in told if one["trial"] not in driver.active and "report" in one]
        told.extend(batch)
        return said([line.numbered(**strip(one)) for one in left[-1:] + batch])

    for number in range(3):
        office.come(f"w{number}", lag)
    office.desk.serve()
    driver.finish()
    assert ends(driver) == {"completed", "stopped"}
    reported = [
        (e["trial"], e["resource"])
        for e in read_events(tmp_path / "journal.jsonl")
        if e["kind"] == "reported"
    ]
    assert len(reported) == len(set(reported))


def test_the_trial_of_a_lost_worker_goes_on_with_another(tmp_path) -> None:
    driver = open_driver(tmp_path)
    office = Office(driver)

    def die(line: Straight, word: str | None) -> Future[str]:
        return lost("the worker died")

    office.come("mortal", die)
    office.serve(2)
    driver.finish()
    failed = [r for r in driver.history.trials.values() if r.failures]
    assert [f.kind for record in failed for f in record.failures] == ["infrastructure"]
    assert ends(driver) == {"completed", "stopped"}
    assert "mortal" in office.left


def test_a_loss_that_is_told_twice_counts_once(tmp_path) -> None:
    driver = open_driver(tmp_path)
    office = Office(driver)

    def die(line: Straight, word: str | None) -> Future[str]:
        office.desk.lose(line.name, Failure("infrastructure", "told by Tune"))
        return lost("told by the line")

    office.come("mortal", die)
    office.serve(2)
    failures = [f for r in driver.history.trials.values() for f in r.failures]
    assert len(failures) == 1


def test_a_worker_that_cannot_come_costs_the_trial_that_waits_one_attempt(tmp_path) -> None:
    driver = open_driver(tmp_path, 1)
    office = Office(driver, slots=1)
    for number in range(4):
        office.desk.lose(f"never came {number}", Failure("infrastructure", "no such package"))
    office.desk.serve()
    record = driver.history.trials["t0001"]
    assert record.state == "failed"
    assert len(record.failures) == 4


def test_no_more_workers_are_wanted_than_there_are_slots(tmp_path) -> None:
    driver = open_driver(tmp_path, 40)
    office, started = Office(driver, slots=3), 0
    is_over = threading.Event()

    def recruit() -> None:
        nonlocal started
        while not is_over.wait(0.001):
            if office.desk.wants_worker():
                started += 1
                office.come(f"w{started}", Straight.work)

    recruiter = threading.Thread(target=recruit)
    recruiter.start()
    office.desk.serve()
    is_over.set()
    recruiter.join()
    assert 1 <= started <= 3
    assert len(driver.history.trials) == 40


def test_an_error_of_the_driver_ends_the_desk(tmp_path) -> None:
    def fill_disk(event: Any) -> None:
        if event["kind"] == "reported":
            raise OSError(errno.ENOSPC, "No space left on device")

    driver = open_driver(tmp_path, watchers=[fill_disk])
    with pytest.raises(OSError, match="No space left"):
        Office(driver).serve()


def test_when_no_worker_can_come_any_more_the_reason_is_raised(tmp_path) -> None:
    office = Office(open_driver(tmp_path))
    office.desk.fail(RuntimeError("the cluster is gone"))
    with pytest.raises(RuntimeError, match="the cluster is gone"):
        office.desk.serve()


def test_an_interrupted_search_does_not_wait_for_workers_that_have_not_come(tmp_path) -> None:
    driver = open_driver(tmp_path)
    office = Office(driver)
    threading.Timer(0.2, lambda: setattr(driver, "interrupted", True)).start()
    office.desk.serve()
    assert driver.active == set()
    assert ends(driver) == {"running"}


class News:
    """What a real worker says, as a test waits for it."""

    def __init__(self, train: Callable[[Assignment], Iterator[Report]]) -> None:
        self._silent = threading.Event()
        self.worker = Worker(train, MANNERS, lambda waits: self._silent.set() if waits else None)

    def talk(self, word: str) -> list[dict[str, Any]]:
        self.worker.hear(word)
        assert self._silent.wait(10)
        self._silent.clear()
        said: list[dict[str, Any]] = json.loads(self.worker.take())
        return said


def order(start: int = 0) -> str:
    return write_order(Assignment(TrialConfig("t0001", {"x": 1.0}, 7), start=start))


def test_a_worker_waits_at_rungs_and_trains_on_between_them() -> None:
    news = News(train)
    batches = [news.talk(order()), news.talk(GO_ON), news.talk(GO_ON)]
    points = [[one["report"]["resource"] for one in batch] for batch in batches]
    assert points == [[1], [2, 3], [4, 9]]
    assert [one["waits"] for one in batches[1]] == [False, True]


def test_a_worker_waits_with_a_report_that_is_of_no_use(tmp_path) -> None:
    def diverge(assignment: Assignment) -> Iterator[Report]:
        yield Report("t0001", 2, {"accuracy": float("nan")}, 1.0)
        raise AssertionError("it trained on")

    batch = News(diverge).talk(order())
    assert [one["waits"] for one in batch] == [True]


def test_the_end_of_a_trial_closes_it_and_the_worker_takes_the_next() -> None:
    closed: list[str] = []

    def careful(assignment: Assignment) -> Iterator[Report]:
        try:
            yield from train(assignment)
        finally:
            closed.append(assignment.config.trial)

    news = News(careful)
    news.talk(order())
    rests = news.talk(REST)
    assert (closed, [one["rests"] for one in rests]) == (["t0001"], [True])
    assert news.talk(order(start=3))[-1]["report"]["resource"] == 9
    assert news.talk(order())[-1]["report"]["resource"] == 1
    assert closed == ["t0001"] * 2


def test_a_worker_outlives_a_trial_that_raises_while_it_is_closed() -> None:
    def untidy(assignment: Assignment) -> Iterator[Report]:
        try:
            yield from train(assignment)
        finally:
            raise ValueError("no")

    news = News(untidy)
    news.talk(order())
    assert news.talk(order(start=3))[-1]["report"]["resource"] == 9


@pytest.mark.parametrize("metrics", [{"accuracy": {0.5}}, None, {"accuracy": 0.5, "x": object()}])
def test_a_report_that_cannot_be_sent_is_the_trials_own_error(metrics) -> None:
    def report(assignment: Assignment) -> Iterator[Report]:
        yield Report("t0001", 2, metrics, 1.0)

    news = News(report)
    assert [one["failure"]["kind"] for one in news.talk(order())] == ["user_error"]
    assert news.talk(REST)[0]["rests"]


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (ValueError("no"), "user_error"),
        (SystemExit(3), "user_error"),
        (MemoryError(), "out_of_memory"),
        (None, "metric_missing"),
    ],
)
def test_a_worker_outlives_whatever_a_trial_raises(raised, kind) -> None:
    def fail(assignment: Assignment) -> Iterator[Report]:
        if assignment.attempt == 2:
            raise Interrupted("a checkpoint was saved")
        if raised is not None:
            raise raised
        yield from ()

    news = News(fail)
    (said_first,) = news.talk(order())
    again = Assignment(TrialConfig("t0001", {"x": 1.0}, 7), attempt=2)
    (said_then,) = news.talk(write_order(again))
    assert said_first["failure"]["kind"] == kind
    assert said_then["interrupted"]
