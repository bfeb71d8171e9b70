"""Time as an argument: the machine's clock, or one that a test or a simulation moves."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What the rest of the package may ask about time."""

    def seconds(self) -> float:
        """Seconds on a clock that never jumps; only differences mean anything."""
        ...

    def stamp(self) -> str:
        """The moment as text for people and journals."""
        ...


class SystemClock:
    """The machine's monotonic clock for durations, UTC for stamps."""

    def seconds(self) -> float:
        return time.monotonic()

    def stamp(self) -> str:
        return datetime.now(UTC).isoformat(timespec="milliseconds")


class VirtualClock:
    """A clock that stands still until it is moved.

    >>> clock = VirtualClock()
    >>> clock.move_to(90.5)
    >>> clock.seconds(), clock.stamp()
    (90.5, '+90.500s')
    """

    def __init__(self, now: float = 0.0) -> None:
        self._now = now

    def seconds(self) -> float:
        return self._now

    def stamp(self) -> str:
        return f"+{self._now:.3f}s"

    def move_to(self, now: float) -> None:
        """Moves forward; a moment in the past leaves it where it is."""
        self._now = max(self._now, now)
