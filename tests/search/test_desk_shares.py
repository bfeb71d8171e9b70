"""A desk whose slots change while it serves: workers leave at a report, and nothing is lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from queue import SimpleQueue

import pytest

from toprung.core.clock import SystemClock
from toprung.search.driver import Driver
from toprung.search.plan import Plan
from toprung.search.runners._desk import Desk
from toprung.search.runners._worker import Manners, Worker
from toprung.search.schedulers.fifo import Fifo
from toprung.search.searchers.random import Random
from toprung.trial.config import Assignment, Resource
from toprung.trial.decision import Failure
from toprung.trial.journal import Journal, read_events
from toprung.trial.report import Metric, Report
from toprung.trial.space import Float, Space

pytestmark = pytest.mark.timeout(60)
RESOURCE = Resource("examples", 1, 9, (1, 2, 3, 4, 5, 6, 7, 8, 9))
ACCURACY = Metric("accuracy")
MANNERS = Manners(frozenset({1, 2, 4, 5, 6, 7, 8}), ACCURACY)
STEP = 0.004


def train(assignment: Assignment) -> Iterator[Report]:
    for point in RESOURCE.points:
        if point > assignment.start:
            time.sleep(STEP)
            accuracy = float(assignment.config.values["x"]) * (1 - 0.5 / point)
            yield Report(assignment.config.trial, point, {"accuracy": accuracy}, point / 10)


def open_driver(folder: Path, trials: int) -> Driver:
    scheduler, searcher = Fifo(), Random()
    scheduler.prepare(RESOURCE, ACCURACY)
    searcher.prepare(Space({"x": Float(0.0, 1.0)}), 7)
    journal = Journal(folder, SystemClock(), durable=False)
    return Driver(Plan(ACCURACY, RESOURCE, trials, seed=7), scheduler, searcher, journal)


class Wire:
    """A line to a worker with a thread of its own, as an actor has one."""

    def __init__(self, hall: Hall, name: str) -> None:
        self.hall, self.name = hall, name
        self.asked: SimpleQueue[Future[str]] = SimpleQueue()
        self.news = threading.Semaphore(0)
        self.worker = Worker(train, MANNERS, lambda waits: self.news.release())
        threading.Thread(target=self._answer, daemon=True).start()

    def talk(self, word: str | None) -> Future[str]:
        if word is not None:
            self.worker.hear(word)
        answer: Future[str] = Future()
        self.asked.put(answer)
        return answer

    def leave(self) -> None:
        self.hall.left.append(self.name)

    def _answer(self) -> None:
        while True:
            answer = self.asked.get()
            self.news.acquire()
            while self.news.acquire(blocking=False):
                pass
            answer.set_result(self.worker.take())


class Hall:
    """Brings a worker whenever the desk wants one, as Tune does."""

    def __init__(self, driver: Driver, slots: int) -> None:
        self.desk = Desk(driver, slots, lambda error: Failure("infrastructure", str(error)))
        self.left: list[str] = []
        self.came = 0
        self.over = threading.Event()

    def serve(self) -> None:
        threading.Thread(target=self._bring, daemon=True).start()
        try:
            self.desk.serve()
        finally:
            self.over.set()
            self.desk.close()

    def _bring(self) -> None:
        while not self.over.wait(0.001):
            if self.desk.wants_worker():
                self.came += 1
                name = f"w{self.came}"
                self.desk.come(name, Wire(self, name))


def check_whole(folder: Path, trials: int) -> None:
    """Every trial has come to its end, and none was trained again over what it had reported."""
    events = read_events(folder / "journal.jsonl")
    reached: dict[str, int] = {}
    for event in events:
        if event["kind"] == "started":
            assert event["from"] == reached.get(event["trial"], 0)
        if event["kind"] == "reported":
            assert event["resource"] > reached.get(event["trial"], 0)
            reached[event["trial"]] = event["resource"]
    assert len(reached) == trials
    assert not any(event["kind"] == "failed" for event in events)


def test_workers_leave_when_slots_are_taken_away_and_come_back_with_them(tmp_path: Path) -> None:
    driver = open_driver(tmp_path, 60)
    hall = Hall(driver, 6)
    most: list[int] = []

    def change() -> None:
        for slots in (6, 2, 5):
            hall.desk.allow(slots)
            ends = time.monotonic() + 20
            while hall.came - len(hall.left) != slots and time.monotonic() < ends:
                time.sleep(0.002)
            most.append(hall.came - len(hall.left))

    thread = threading.Thread(target=change)
    thread.start()
    hall.serve()
    thread.join()
    driver.finish()
    assert most == [6, 2, 5]
    assert not driver.history.in_state("running")
    check_whole(tmp_path, 60)


def test_slots_that_change_all_the_time_cost_no_trial(tmp_path: Path) -> None:
    driver = open_driver(tmp_path, 40)
    hall = Hall(driver, 1)

    def change() -> None:
        for turn in range(200):
            if hall.over.wait(0.005):
                return
            hall.desk.allow((turn * 7) % 6 + 1)

    threading.Thread(target=change, daemon=True).start()
    hall.serve()
    driver.finish()
    assert not driver.history.in_state("running")
    check_whole(tmp_path, 40)


def test_a_desk_tells_what_it_has_work_for(tmp_path: Path) -> None:
    driver = open_driver(tmp_path, 3)
    hall = Hall(driver, 8)
    hall.serve()
    assert hall.desk.wants == 0
    assert hall.came <= 3


def test_at_least_one_slot_is_left(tmp_path: Path) -> None:
    driver = open_driver(tmp_path, 4)
    hall = Hall(driver, 3)
    hall.desk.allow(0)
    hall.serve()
    driver.finish()
    check_whole(tmp_path, 4)
