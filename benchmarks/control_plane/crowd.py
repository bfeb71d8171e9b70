"""A crowd of workers without processes: each says what real ones would, when it is due."""

from __future__ import annotations

import heapq
import json
import math
import random
import threading
import time
from bisect import bisect_right
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Protocol

from toprung.search.runners._seat import Line
from toprung.search.runners._worker import GO_ON, REST
from toprung.trial.decision import Failure


@dataclass(frozen=True)
class Troubles:
    """Shares of messages that something happens to.

    Attributes:
        twice: delivered once more with the next.
        late: a report of a trial that has left comes with it.
        lost: of reports that nobody waits for: it never comes.
        deaths: the worker dies instead.
        burst_seconds: all that is due within so many seconds comes at once; 0 for none.
    """

    twice: float = 0.0
    late: float = 0.0
    lost: float = 0.0
    deaths: float = 0.0
    burst_seconds: float = 0.0


@dataclass
class Seen:
    """What the crowd saw.

    Attributes:
        latencies: seconds from a message's delivery to its answer, of those that need one.
        reports: delivered.
    """

    latencies: list[float] = field(default_factory=list)
    reports: int = 0
    twice: int = 0
    late: int = 0
    lost: int = 0
    deaths: int = 0


@dataclass
class _Member:
    name: str
    trial: str = ""
    x: float = 0.0
    at: int = 0
    number: int = 0
    sent: float = 0.0
    answer: Future[str] | None = None
    again: str = ""
    left: str = ""


class Door(Protocol):
    """What of a desk workers come to."""

    def come(self, name: str, line: Line) -> None:
        """A worker is there."""
        ...

    def lose(self, name: str, failure: Failure) -> None:
        """A worker is gone."""
        ...


class Crowd:
    """Workers that report at a common rate, all in one thread.

    Args:
        desk: that they talk to.
        workers: how many there are at a time.
        points: at which trials report.
        between: those of them at which nobody waits.
        rate: reports per second of all together.
        troubles: what goes wrong.
    """

    def __init__(
        self,
        desk: Door,
        workers: int,
        points: Sequence[int],
        between: frozenset[int],
        *,
        rate: float,
        troubles: Troubles,
        seed: int = 0,
    ) -> None:
        self.seen = Seen()
        self.rate = rate
        self._desk, self._workers = desk, workers
        self._points, self._between, self._troubles = tuple(points), between, troubles
        self._chance = random.Random(seed)
        self._spoken: SimpleQueue[tuple[_Member, str | None, Future[str], float]] = SimpleQueue()
        self._due: list[tuple[float, int, _Member]] = []
        self._count = 0
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._live, daemon=True)

    def start(self) -> None:
        """All come, and begin."""
        for _ in range(self._workers):
            self._add()
        self._thread.start()

    def end(self) -> None:
        """All fall silent."""
        self._is_over.set()
        self._thread.join()

    def _add(self) -> None:
        self._count += 1
        member = _Member(f"w{self._count}")
        self._desk.come(member.name, _Line(self, member))

    def _live(self) -> None:
        while not self._is_over.is_set():
            now = time.perf_counter()
            wait = min(0.05, max(0.0, self._due[0][0] - now)) if self._due else 0.05
            try:
                self._hear(*self._spoken.get(timeout=wait) if wait else self._spoken.get_nowait())
                while True:
                    self._hear(*self._spoken.get_nowait())
            except Empty:
                pass
            now = time.perf_counter()
            while self._due and self._due[0][0] <= now:
                self._speak(heapq.heappop(self._due)[2])

    def _hear(self, member: _Member, word: str | None, answer: Future[str], at: float) -> None:
        if member.sent:
            self.seen.latencies.append(at - member.sent)
        member.answer, member.sent = answer, 0.0
        if word == REST:
            member.number += 1
            member.left, member.trial = member.trial, ""
            said = f'"number": {member.number}, "trial": "", "rests": true, "waits": true'
            answer.set_result(f"[{{{said}}}]")
            return
        if word not in (GO_ON, None):
            order = json.loads(word or "")
            member.left, member.trial = member.trial, order["config"]["trial"]
            member.x, member.at = order["config"]["values"]["x"], order["start"]
        pause = self._chance.expovariate(self.rate / self._workers)
        when = time.perf_counter() + pause
        if burst := self._troubles.burst_seconds:
            when = burst * math.ceil(when / burst)
        self._schedule(when, member)

    def _schedule(self, when: float, member: _Member) -> None:
        self._count += 1
        heapq.heappush(self._due, (when, self._count, member))

    def _speak(self, member: _Member) -> None:
        """The next report, and whatever goes wrong with it."""
        troubles, chance, answer = self._troubles, self._chance.random, member.answer
        assert answer is not None
        after = bisect_right(self._points, member.at)
        if after == len(self._points):  # told to go on where nothing is left, a worker rests
            self._hear(member, REST, answer, time.perf_counter())
            return
        member.at = self._points[after]
        waits = member.at not in self._between
        if not waits and chance() < troubles.lost:
            self.seen.lost += 1
            self._schedule(time.perf_counter() + self._workers / self.rate, member)
            return
        if chance() < troubles.deaths:
            self.seen.deaths += 1
            self._desk.lose(member.name, Failure("infrastructure", "the worker died"))
            self._add()
            return
        said = self._said(member, member.trial, waits)
        self.seen.reports += 1
        if chance() < troubles.late and member.left:
            self.seen.late += 1
            said = f"{self._said(member, member.left, False)}, {said}"
        batch = said
        if member.again:
            self.seen.twice += 1
            batch = f"{member.again}, {said}"
        member.again = said if chance() < troubles.twice else ""
        if waits:
            member.sent = time.perf_counter()
        answer.set_result(f"[{batch}]")

    def _said(self, member: _Member, trial: str, waits: bool) -> str:
        """A report as a worker would say it; put together by hand to be quick."""
        member.number += 1
        accuracy = 0.5 + 0.4 * member.x * member.at / (member.at + 20)
        return (
            f'{{"number": {member.number}, "trial": "{trial}", "report": {{"trial": "{trial}", '
            f'"resource": {member.at}, "metrics": {{"accuracy": {accuracy:.6f}, "train_loss": '
            f'{1 - accuracy:.6f}, "learning_rate": 0.0001}}, "seconds": {member.at}.0, '
            f'"checkpoint": "checkpoints/{member.at}"}}, "waits": {"true" if waits else "false"}}}'
        )


class _Line:
    """The way to a member of the crowd."""

    def __init__(self, crowd: Crowd, member: _Member) -> None:
        self._crowd, self._member = crowd, member

    def talk(self, word: str | None) -> Future[str]:
        answer: Future[str] = Future()
        self._crowd._spoken.put((self._member, word, answer, time.perf_counter()))
        return answer

    def leave(self) -> None:
        """Nothing: it has no process."""

    def kill(self) -> None:
        """Nothing either."""
