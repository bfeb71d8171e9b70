"""Baselines beside the trials: what share of the answer each of them is given."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from toprung.data.tasks._base import Task
from toprung.judge.ensembles._base import Floats, Labels, blend
from toprung.trial.report import Metric

_STEPS = 20


def mix_in(
    weights: Mapping[str, float],
    logits: Mapping[str, Floats],
    baselines: Mapping[str, Floats],
    labels: Labels,
    *,
    metric: Metric,
    task: Task,
) -> dict[str, float]:
    """Weights of trials and baselines: above 0, summing to 1, largest first.

    Baselines come in one after the other. Each is given the share of the whole, of 0, 5, … 95 %,
    that scores best on the selection split; of equal ones the one with the lower log-loss. One
    number is fitted a baseline, so few rows are enough, and what does not help is left out.

    Args:
        weights: of the trials, as a method gave them.
        logits: (N, C) of each trial on the selection split.
        baselines: (N, C) of each baseline there.
        labels: of that split.
        metric, task: of the search.

    Source: Wolpert 1992, "Stacked Generalization", with one share for a model.

    >>> from toprung.data.tasks.single_label import SingleLabel
    >>> trial, words = np.array([[3.0, 0.0], [1.0, 0.0]]), np.array([[0.0, 0.0], [0.0, 9.0]])
    >>> found = mix_in({"t1": 1.0}, {"t1": trial}, {"words": words}, np.array([0, 1]),
    ...                metric=Metric("accuracy"), task=SingleLabel())
    >>> {name: round(weight, 2) for name, weight in found.items()}
    {'words': 0.85, 't1': 0.15}
    """
    mixed, blended = dict(weights), blend(logits, weights, task)
    rows = np.asarray(labels, np.int64)
    for name, scores in baselines.items():
        shares = np.arange(_STEPS) / _STEPS
        own = task.probabilities(scores)
        rated = [_rate(blended * (1 - s) + own * s, rows, metric, task) for s in shares]
        share = float(shares[max(range(_STEPS), key=lambda step: (rated[step], -step))])
        if share:
            mixed = {n: weight * (1 - share) for n, weight in mixed.items()} | {name: share}
            blended = blended * (1 - share) + own * share
    return dict(sorted(mixed.items(), key=lambda item: (-item[1], item[0])))


def _rate(
    probabilities: Floats, labels: NDArray[np.int64], metric: Metric, task: Task
) -> tuple[float, float]:
    found = task.measure(task.logits(probabilities), labels)
    # Rounded, so that the last bit of a sum does not choose between equal shares.
    return round(metric.score(found[metric.name]), 12), -round(found["log_loss"], 12)
