"""Linear decay to zero."""

from __future__ import annotations

from dataclasses import dataclass

from toprung.learn.schedules._base import Schedule


@dataclass
class Linear(Schedule):
    """From 1 to 0 in a straight line.

    >>> Linear().scale(0.25)
    0.75
    """

    def scale(self, progress: float) -> float:
        return 1.0 - progress
