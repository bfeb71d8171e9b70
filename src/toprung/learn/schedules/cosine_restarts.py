"""Cosine decay that starts over."""

from __future__ import annotations

import math
from dataclasses import dataclass

from toprung.learn.schedules._base import Schedule


@dataclass
class CosineRestarts(Schedule):
    """Equal half cosines from 1 to 0, one after the other (arXiv:1608.03983, T_mult = 1).

    Attributes:
        cycles: how many.

    >>> round(CosineRestarts(cycles=2).scale(0.25), 6), CosineRestarts(cycles=2).scale(0.5)
    (0.5, 1.0)
    """

    cycles: int = 3

    def scale(self, progress: float) -> float:
        if progress >= 1.0:
            return 0.0
        return 0.5 * (1.0 + math.cos(math.pi * (progress * self.cycles % 1.0)))
