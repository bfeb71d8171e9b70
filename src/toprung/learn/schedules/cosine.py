"""Cosine decay to zero."""

from __future__ import annotations

import math
from dataclasses import dataclass

from toprung.learn.schedules._base import Schedule


@dataclass
class Cosine(Schedule):
    """Half a cosine from 1 to 0 (Loshchilov and Hutter 2017, arXiv:1608.03983).

    >>> round(Cosine().scale(0.5), 6)
    0.5
    """

    def scale(self, progress: float) -> float:
        return 0.5 * (1.0 + math.cos(math.pi * progress))
