"""The same rate after the warm-up."""

from __future__ import annotations

from dataclasses import dataclass

from toprung.learn.schedules._base import Schedule


@dataclass
class Constant(Schedule):
    """Always 1.

    >>> Constant().scale(0.9)
    1.0
    """

    def scale(self, progress: float) -> float:
        return 1.0
