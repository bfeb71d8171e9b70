"""The driver's side of resident workers: hears what they say, tells them what to do next."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

from toprung.search.driver import Driver
from toprung.search.runners._seat import Line, Seat
from toprung.search.runners._worker import GO_ON, REST, write_order
from toprung.search.watchdog import Watchdog
from toprung.trial.config import Assignment
from toprung.trial.decision import Continue, Failure
from toprung.trial.report import Report

_LOOK_SECONDS = 1.0
"""How often a desk to which nobody speaks looks whether the search was interrupted."""

_MOST = 64
"""Words that are handed over before the first of them is answered."""


class Desk:
    """Has the only hand on the driver; workers come, speak and are lost in any order.

    All that is heard at one moment is handed to the driver in the order of its arrival, waits
    for the disk together, and only then is answered. An assignment goes to a worker that rests;
    where there is none it waits in ``orders`` for one to come. A worker whose trial hangs is
    killed; a worker that is lost has lost its seat, so nothing that it says later is heard.

    Attributes:
        orders: assignments that no worker has yet.
        wants: trials that there is work for; None while all slots are taken. For any thread.
    """

    def __init__(
        self,
        driver: Driver,
        slots: int,
        classify_loss: Callable[[BaseException], Failure],
        watchdog: Watchdog | None = None,
        *,
        pulse: Callable[[], None] | None = None,
    ) -> None:
        """Prepares the desk.

        Args:
            driver: of the search.
            slots: most trials at a time.
            classify_loss: what the error of a line means for the trial behind it.
            watchdog: says which trial hangs; None for the usual one.
            pulse: called about every second; raises where no worker can be reached any more.
        """
        self._driver, self._slots, self._classify_loss = driver, slots, classify_loss
        self._watchdog = watchdog or Watchdog()
        self._pulse = pulse
        self._looked = 0.0
        self.orders: deque[Assignment] = deque()
        self.wants: int | None = None
        self._inbox: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._seats: dict[str, Seat] = {}
        self._lost: set[str] = set()
        self._idle: deque[str] = deque()
        self._due: list[str] = []
        self._opened, self._came = 0, 0

    def serve(self) -> None:
        """Works until the driver assigns nothing more and nothing runs.

        Raises:
            OSError, ToprungError: of the driver; nothing that it had not written was told.
        """
        with self._driver.together():
            self._fill()
        while self._driver.active:
            with self._driver.together():
                for take in self._heard():
                    take()
                    self._fill()
                    self._release()
                self._look_after()
                if self._driver.interrupted:
                    self._drop_orders()
            self._answer()

    def close(self) -> None:
        """Lets every worker go."""
        for seat in self._seats.values():
            seat.line.leave()
        self._seats.clear()

    def wants_worker(self) -> bool:
        """Whether one more worker is to be started; where so, it counts as started."""
        wanted = len(self.orders) > self._opened - self._came
        self._opened += wanted
        return wanted

    def come(self, name: str, line: Line) -> None:
        """A worker is there. May be called from any thread, as ``lose`` and ``fail``."""
        self._inbox.put(partial(self._greet, name, line))

    def lose(self, name: str, failure: Failure) -> None:
        """A worker is gone, or could not come."""
        self._inbox.put(partial(self._lose, name, failure))

    def allow(self, slots: int) -> None:
        """So many trials, at least one, may train from now on; for any thread.

        Of more than that, each leaves after its next report, to go on from there another time.
        """
        self._inbox.put(partial(self._allow, max(1, slots)))

    def fail(self, error: BaseException) -> None:
        """No more workers can come: ``serve`` raises the error."""

        def give_up() -> None:
            raise error

        self._inbox.put(give_up)

    def _heard(self) -> Iterator[Callable[[], None]]:
        """Whatever has happened, once there is something; nothing after a while."""
        try:
            yield self._inbox.get(timeout=_LOOK_SECONDS)
            # No more than have come by now, so that no answer waits for later ones, and no more
            # than are soon through.
            for _ in range(min(self._inbox.qsize(), _MOST - 1)):
                yield self._inbox.get_nowait()
        except Empty:
            return

    def _fill(self) -> None:
        """Hands out work while there are slots and work."""
        driver, self.wants = self._driver, None
        while len(driver.active) < self._slots:
            assignment = driver.assign()
            if assignment is None:
                self.wants = len(driver.active)
                break
            self.orders.append(assignment)
        while self.orders and self._idle:
            name, assignment = self._idle.popleft(), self.orders.popleft()
            seat = self._seats[name]
            seat.trial, seat.word = assignment.config.trial, write_order(assignment)
            self._due.append(name)

    def _allow(self, slots: int) -> None:
        self._slots = slots

    def _release(self) -> None:
        """Takes orders back and lets workers go where there are more than slots."""
        while self.orders and len(self._driver.active) > self._slots:
            self._driver.leave(self.orders.pop().config.trial)
        if len(self._seats) <= self._slots:
            return
        surplus = sum(not seat.leaving for seat in self._seats.values()) - self._slots
        for name in list(self._idle)[: max(0, surplus)]:
            self._dismiss(name)
            surplus -= 1
        at_work = [seat for seat in reversed(self._seats.values()) if not seat.leaving]
        for seat in at_work[: max(0, surplus)]:
            seat.leaving = True

    def _dismiss(self, name: str) -> None:
        self._lost.add(name)
        if name in self._idle:
            self._idle.remove(name)
        self._seats.pop(name).line.leave()

    def _drop_orders(self) -> None:
        while self.orders:
            self._driver.leave(self.orders.popleft().config.trial)

    def _look_after(self) -> None:
        """Kills workers whose trials hang; looks whether workers can be reached at all."""
        now, driver = self._driver.elapsed(), self._driver
        if now < self._looked + _LOOK_SECONDS:
            return
        self._looked = now
        if self._pulse is not None:
            self._pulse()
        for name, seat in list(self._seats.items()):
            if seat.trial is None or not seat.talking:
                continue
            record = driver.history.trials[seat.trial]
            point = driver.plan.resource.next_point(record.resource)
            why = self._watchdog.judge(now - seat.since, record, point, driver.history)
            if why:
                seat.line.kill()
                self._lose(name, Failure("hung", why))
                self._fill()

    def _greet(self, name: str, line: Line) -> None:
        self._came += 1
        self._seats[name] = Seat(line)
        self._idle.append(name)

    def _lose(self, name: str, failure: Failure) -> None:
        if name in self._lost:
            return
        self._lost.add(name)
        seat = self._seats.pop(name, None)
        if seat is None:  # It has died before it came, with nobody's trial; one waits for it.
            self._came += 1
            if self.orders:
                self._driver.fail(self.orders.popleft().config.trial, failure)
            return
        seat.line.leave()
        if name in self._idle:
            self._idle.remove(name)
        if seat.trial is not None:
            self._driver.fail(seat.trial, failure)

    def _hear(self, name: str, answer: Future[str]) -> None:
        seat = self._seats.get(name)
        if seat is None:
            return
        error = answer.exception()
        if error is not None:
            self._lose(name, self._classify_loss(error))
            return
        seat.talking, seat.since = False, self._driver.elapsed()
        self._due.append(name)
        for said in json.loads(answer.result()):
            # What comes twice was answered before, and a second answer would be one too many;
            # what comes late is of a trial that may be with another worker by now.
            is_news = said["number"] > seat.heard
            seat.heard = max(seat.heard, said["number"])
            if is_news and seat.leaving and "rests" in said:
                self._part(name, seat)
                return
            if not is_news or said["trial"] != seat.trial:
                continue
            if self._take(said):
                seat.word = GO_ON if said["waits"] else None
            elif said.get("goes"):
                self._see_off(name)
                return
            else:
                seat.trial, seat.word = None, REST
                if not seat.leaving:
                    self._idle.append(name)
        if seat.leaving:
            # It says that it rests once it has closed its trial, at its next report.
            seat.word = REST

    def _part(self, name: str, seat: Seat) -> None:
        """A worker that was to leave has closed its trial, which goes on from its last report."""
        if seat.trial is not None:
            self._driver.leave(seat.trial)
        self._dismiss(name)

    def _take(self, said: dict[str, Any]) -> bool:
        """Hands over what was said; whether its trial goes on."""
        if "report" in said:
            return isinstance(self._driver.report(Report.from_json(said["report"])), Continue)
        if "failure" in said:
            self._driver.fail(said["trial"], Failure(**said["failure"]))
        else:
            why = "its worker was told to go, and has saved it" if said.get("goes") else ""
            self._driver.leave(said["trial"], why)
        return False

    def _see_off(self, name: str) -> None:
        """A worker goes of itself; its trial has been seen to."""
        self._lost.add(name)
        self._seats.pop(name).line.leave()

    def _answer(self) -> None:
        due, self._due = self._due, []
        for name in due:
            seat = self._seats.get(name)
            if seat is not None and not seat.talking and (seat.trial or seat.word):
                word, seat.word, seat.talking = seat.word, None, True
                seat.since = self._driver.elapsed()
                seat.line.talk(word).add_done_callback(partial(self._ring, name))

    def _ring(self, name: str, answer: Future[str]) -> None:
        """In the thread of the line."""
        self._inbox.put(partial(self._hear, name, answer))
