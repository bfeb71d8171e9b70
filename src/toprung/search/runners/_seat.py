"""A worker as the desk knows it: the way to it, and what it was last told and heard to say."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol


class Line(Protocol):
    """The way to a worker and back."""

    def talk(self, word: str | None) -> Future[str]:
        """Says a word, or nothing, and hears what the worker says next: a JSON list."""
        ...

    def leave(self) -> None:
        """Lets the worker go."""
        ...

    def kill(self) -> None:
        """Ends the worker at once, whatever it does; it may be unable to hear."""
        ...


@dataclass
class Seat:
    """A worker that has come.

    Attributes:
        trial: that it is at work on.
        word: to be told next; None to listen only.
        heard: number of the last thing that it said.
        talking: whether it was asked and has not answered.
        since: search time at which it was last asked, or last said something.
        leaving: whether it is to be let go after its next report.
    """

    line: Line
    trial: str | None = None
    word: str | None = None
    heard: int = 0
    talking: bool = False
    since: float = 0.0
    leaving: bool = False
