"""The crowd in a process of its own, as workers are: what it costs is not the desk's.

The crowd and the desk that is measured would otherwise share one interpreter, whose lock lets
one of them at work at a time. Words and reports go through a pipe in bunches, whatever is there.
"""

from __future__ import annotations

import multiprocessing
import threading
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection
from queue import Empty, SimpleQueue
from typing import Any

from crowd import Crowd, Seen

from toprung.search.runners._desk import Desk
from toprung.search.runners._seat import Line
from toprung.trial.decision import Failure

_SILENCE = 60.0
"""Seconds after which a crowd that says nothing of itself has died."""


class Elsewhere:
    """Workers in another process that talk to a desk in this one.

    Args:
        desk: that they talk to.
        given, settings: of ``Crowd``, after its desk.
    """

    def __init__(self, desk: Desk, *given: Any, **settings: Any) -> None:
        self._desk = desk
        context = multiprocessing.get_context("spawn")
        here, there = context.Pipe()
        self._process = context.Process(target=_live, args=(there, given, settings), daemon=True)
        self._pipe: Connection = here
        self._words: SimpleQueue[Any] = SimpleQueue()
        self._answers: dict[str, Future[str]] = {}
        self._seen: SimpleQueue[Seen] = SimpleQueue()
        self._threads = [
            threading.Thread(target=_send, args=(self._words, here), daemon=True),
            threading.Thread(target=self._receive, daemon=True),
        ]

    def start(self) -> None:
        """All come, and begin; returns once their process is there."""
        self._process.start()
        assert self._pipe.recv() == "ready"
        for thread in self._threads:
            thread.start()

    def count(self) -> Seen:
        """What the crowd saw since it was asked last."""
        self._words.put(("count", None))
        return self._seen.get(timeout=_SILENCE)

    def end(self) -> None:
        """All fall silent."""
        self._words.put(("over", None))
        for thread in self._threads:
            thread.join()
        self._process.join()
        self._pipe.close()

    def talk(self, name: str, word: str | None) -> Future[str]:
        """Says a word to a worker."""
        answer = self._answers[name] = Future()
        self._words.put((name, word))
        return answer

    def _receive(self) -> None:
        while True:
            for kind, name, said in self._pipe.recv():
                if kind == "over":
                    return
                if kind == "said":
                    self._answers.pop(name).set_result(said)
                elif kind == "come":
                    self._desk.come(name, _Line(self, name))
                elif kind == "lose":
                    self._desk.lose(name, said)
                else:
                    self._seen.put(said)


@dataclass(frozen=True)
class _Line:
    """The way to a worker elsewhere."""

    crowd: Elsewhere
    name: str

    def talk(self, word: str | None) -> Future[str]:
        return self.crowd.talk(self.name, word)

    def leave(self) -> None:
        """Nothing: it has no process of its own."""

    def kill(self) -> None:
        """Nothing either."""


def _send(words: SimpleQueue[Any], pipe: Connection) -> None:
    """Sends what is there, in bunches, until it is over."""
    over = False
    while not over:
        bunch = [words.get()]
        with suppress(Empty):
            while True:
                bunch.append(words.get_nowait())
        over = any(word[0] == "over" for word in bunch)
        pipe.send(bunch)


@dataclass
class _FarDesk:
    """The desk as the crowd's process knows it."""

    way: SimpleQueue[Any]
    lines: dict[str, Line] = field(default_factory=dict)

    def come(self, name: str, line: Line) -> None:
        self.lines[name] = line
        self.way.put(("come", name, None))

    def lose(self, name: str, failure: Failure) -> None:
        self.lines.pop(name)
        self.way.put(("lose", name, failure))

    def pass_on(self, name: str, answer: Future[str]) -> None:
        """A worker has said something."""
        self.way.put(("said", name, answer.result()))


def _live(pipe: Connection, given: tuple[Any, ...], settings: dict[str, Any]) -> None:
    """The crowd's process."""
    way: SimpleQueue[Any] = SimpleQueue()
    desk = _FarDesk(way)
    crowd = Crowd(desk, *given, **settings)
    pipe.send("ready")
    sender = threading.Thread(target=_send, args=(way, pipe), daemon=True)
    sender.start()
    crowd.start()
    while True:
        for name, word in pipe.recv():
            if name == "over":
                crowd.end()
                way.put(("over", "", None))
                sender.join()
                return
            if name == "count":
                seen, crowd.seen = crowd.seen, Seen()
                way.put(("count", "", seen))
            elif name in desk.lines:
                desk.lines[name].talk(word).add_done_callback(partial(desk.pass_on, name))
