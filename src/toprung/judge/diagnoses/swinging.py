"""The metric jumps up and down by more than chance."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

from toprung.judge.diagnoses._base import Course, Diagnosis


@dataclass(frozen=True)
class Swinging(Diagnosis):
    """The metric fell twice by more than its rows explain, and rose again after the first fall.

    Only metrics between 0 and 1 are looked at. The standard error of a share over N rows is at
    most ``0.5 / sqrt(N)``.

    Attributes:
        errors: standard errors that a fall must exceed.
        least: that it must exceed whatever the rows.
    """

    errors: float = 3.0
    least: float = 0.03

    title = "metrics that swing"
    remedy = "Lower the learning rate, or raise the batch size or the accumulation."

    def evidence(self, course: Course) -> str | None:
        metric = course.facts.metric
        values, rows = course.series(metric.name), course.series("evaluated_rows")
        count = min(len(values), len(rows))
        if count < 4 or not all(0 <= value <= 1 for value in values):
            return None
        values, rows = values[-count:], rows[-count:]
        steps = [metric.score(b) - metric.score(a) for a, b in pairwise(values)]
        limits = [
            max(self.least, self.errors * 0.5 / math.sqrt(max(1.0, min(pair))))
            for pair in pairwise(rows)
        ]
        falls = [i for i, step in enumerate(steps) if -step > limits[i]]
        if len(falls) < 2 or not any(s > limits[i] for i, s in _between(steps, falls)):
            return None
        deepest = min(falls, key=steps.__getitem__)
        return (
            f"{metric.name} fell {len(falls)} times by more than {limits[deepest]:.3f}, which the "
            f"rows explain, at most from {values[deepest]:.3f} to {values[deepest + 1]:.3f} at "
            f"{course.at(deepest + 1 - count)}"
        )


def _between(steps: list[float], falls: list[int]) -> list[tuple[int, float]]:
    """The steps between the first and the last fall."""
    return [(i, steps[i]) for i in range(falls[0] + 1, falls[-1])]
