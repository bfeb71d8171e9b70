"""Intervals of shares, and p-values of several tests at once."""

from __future__ import annotations

import math
from collections.abc import Sequence

_Z = 1.959963984540054


def wilson(wrong: int, rows: int) -> tuple[float, float]:
    """The 95 % interval of a share.

    Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference".

    >>> [round(bound, 3) for bound in wilson(5, 50)]
    [0.043, 0.214]
    """
    share, square = wrong / rows, _Z * _Z
    middle = (share + square / (2 * rows)) / (1 + square / rows)
    half = _Z / (1 + square / rows) * math.sqrt(share * (1 - share) / rows + square / (4 * rows**2))
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values of several tests, corrected for their number, in their order.

    Source: Holm 1979, "A simple sequentially rejective multiple test procedure".

    >>> [round(p, 4) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    corrected, largest = [0.0] * len(p_values), 0.0
    for place, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - place) * p_values[index]))
        corrected[index] = largest
    return corrected
