"""What each member brings to an ensemble: gain by size, and who disagrees with whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from toprung.data.tasks._base import Labels, Task
from toprung.judge.ensembles._base import blend
from toprung.trial.report import Metric

Floats = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Growth:
    """An ensemble, member by member.

    Attributes:
        members: by falling weight.
        together: the metric of the first one, the first two, and so on, before the temperature.
        alone: of each by itself.
        disagreement: (M, M) shares of the rows that two members answer otherwise.
    """

    members: tuple[str, ...]
    together: tuple[float, ...]
    alone: tuple[float, ...]
    disagreement: Floats


def grow(
    logits: Mapping[str, Floats],
    weights: Mapping[str, float],
    labels: Labels,
    task: Task,
    metric: Metric,
    *,
    thresholds: Floats | None = None,
) -> Growth:
    """Measures the members of an ensemble of two or more, alone and together.

    Args:
        logits: (N, C) of each member.
        weights: of the members.
        labels: of the N rows.
        task, metric: of the search.
        thresholds: (C,) of the ensemble; None where the task has none.
    """
    members = sorted(weights, key=lambda name: (-weights[name], name))
    together, alone, answers = [], [], []
    for size in range(1, len(members) + 1):
        part = {name: weights[name] for name in members[:size]}
        total = sum(part.values())
        blended = blend(logits, {name: weight / total for name, weight in part.items()}, task)
        together.append(task.measure(task.logits(blended), labels, thresholds)[metric.name])
    for name in members:
        alone.append(task.measure(logits[name], labels, thresholds)[metric.name])
        answers.append(task.decide(task.probabilities(logits[name]), thresholds))
    apart = [[float((a != b).any(axis=1).mean()) for b in answers] for a in answers]
    return Growth(tuple(members), tuple(together), tuple(alone), np.array(apart))
