"""A worker that stays: one thread, trial after trial, and what it has to say of them."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import count
from queue import SimpleQueue
from threading import Thread

from toprung.core.errors import Interrupted
from toprung.core.notice import has_notice
from toprung.search.runners._base import Train, begin, classify
from toprung.trial.config import Assignment, TrialConfig
from toprung.trial.decision import Failure
from toprung.trial.report import Metric, Report, examine

GO_ON = "go on"
"""The driver's answer to a report that a trial waits with."""
REST = "rest"
"""The driver's word to a worker whose trial is over and who is to wait for the next one."""


@dataclass(frozen=True)
class Manners:
    """When a worker trains on without an answer.

    Attributes:
        between: resources at which the answer to a usable report is always to go on.
        metric: that makes a report usable.
    """

    between: frozenset[int]
    metric: Metric


class Worker:
    """Trains assignments in a thread of its own, so that its process can listen meanwhile.

    It hears words: an assignment, ``GO_ON`` or ``REST``; and it says reports and endings, as JSON
    values that are numbered and name the trial. With a report that needs an answer it waits for
    the next word; with others it trains on. A new assignment or ``REST`` closes the trial that is
    at work. Where its process was given notice, it says of a trial that saved itself that it goes.

    Attributes:
        at_work: whether a trial is in training.
    """

    def __init__(self, train: Train, manners: Manners, on_news: Callable[[bool], None]) -> None:
        """Starts the thread, which waits for an assignment.

        Args:
            train: gives an assignment's reports.
            manners: when to wait.
            on_news: called in the thread whenever there is something to take; told whether the
                thread now waits for a word.
        """
        self._train, self._manners, self._on_news = train, manners, on_news
        self._words: SimpleQueue[str] = SimpleQueue()
        self._said: deque[str] = deque()
        self._numbers = count(1)
        self.at_work = False
        Thread(target=self._work, name="trials", daemon=True).start()

    def hear(self, word: str) -> None:
        """Takes a word of the driver."""
        self._words.put(word)

    def take(self) -> str:
        """All that was said since this was last called, in order: a JSON list."""
        return f"[{', '.join(self._said.popleft() for _ in range(len(self._said)))}]"

    def _work(self) -> None:
        word = self._words.get()
        while True:
            if word not in (GO_ON, REST):
                word = self._follow(read_order(word)) or self._words.get()
                continue
            if word == REST:
                self._say('"rests": true', waits=True)
            word = self._words.get()

    def _follow(self, assignment: Assignment) -> str | None:
        """Trains until the trial ends, or until a word ends it; returns that word."""
        trial, reached = assignment.config.trial, assignment.start
        reports = begin(self._train, assignment)
        self.at_work = True
        try:
            while True:
                report, said = _next(reports)
                waits = report is None or self._needs_answer(report, reached)
                self._say(said, trial=trial, waits=waits)
                if report is None:
                    return None
                reached = report.resource
                if waits or not self._words.empty():
                    word = self._words.get()
                    if word != GO_ON:
                        return word
        finally:
            self.at_work = False
            # The trial's course is decided; what it raises while it is closed changes nothing.
            with suppress(BaseException):
                reports.close()

    def _needs_answer(self, report: Report, reached: int) -> bool:
        if report.resource not in self._manners.between:
            return True
        return isinstance(examine(report, self._manners.metric, reached), Failure)

    def _say(self, said: str, *, trial: str = "", waits: bool) -> None:
        about = f'"number": {next(self._numbers)}, "trial": "{trial}", "waits": {json.dumps(waits)}'
        self._said.append(f"{{{about}, {said}}}")
        self._on_news(waits)


def _next(reports: Iterator[Report]) -> tuple[Report | None, str]:
    """The next report of a trial, None where it has ended; and what is said of either."""
    try:
        report = next(reports)
        return report, f'"report": {json.dumps(report.to_json())}'
    except Interrupted:
        return None, f'"interrupted": true, "goes": {json.dumps(has_notice())}'
    except StopIteration:
        failure = Failure("metric_missing", "the trial ended before its last rung")
    # A trial is user code: whatever it raises, or reports, becomes a class and a line, no crash.
    except BaseException as error:
        failure = classify(error)
    return None, f'"failure": {json.dumps(asdict(failure))}'


def write_order(assignment: Assignment) -> str:
    """An assignment as a word.

    >>> order = Assignment(TrialConfig("t0001", {"rate": 0.1}, 7), start=512)
    >>> read_order(write_order(order)) == order
    True
    """
    config = assignment.config
    order = {
        "config": {"trial": config.trial, "values": dict(config.values), "seed": config.seed},
        "start": assignment.start,
        "attempt": assignment.attempt,
        "shrink": assignment.shrink,
        "epoch": assignment.epoch,
    }
    return json.dumps(order)


def read_order(word: str) -> Assignment:
    """The assignment that ``write_order`` wrote."""
    order = json.loads(word)
    return Assignment(TrialConfig(**order.pop("config")), **order)
