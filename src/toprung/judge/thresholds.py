"""A threshold for each class, fitted on rows that nothing else was fitted or chosen on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]

THRESHOLDS = "thresholds"
"""Name of the split that they are fitted on."""
FEWEST_POSITIVES = 10
"""A class with fewer positive rows shares one threshold with the others of its kind."""
_HALF = 0.5
_PRIOR_POSITIVES = 50
"""How many positive rows of its own weigh as much as the threshold that all classes share."""


@dataclass(frozen=True)
class Thresholds:
    """Thresholds of C classes.

    Attributes:
        values: (C,) a class is answered where its probability is at least this.
        positives: (C,) rows of each class that they were fitted on.
        shared: names of the classes that share one value, having too few positive rows.
    """

    values: tuple[float, ...]
    positives: tuple[int, ...]
    shared: tuple[str, ...]


def fit_thresholds(
    probabilities: Floats, labels: NDArray[np.integer], names: Sequence[str]
) -> Thresholds:
    """The threshold of each class that gives it the highest F1, drawn to the one that all share.

    That one gives all classes together, each row and class counted once, the highest F1; it is one
    half where that has the higher macro-F1, as with calibrated probabilities. A class with n
    positive rows has the mean of its own and the shared one, weighed n to 50: fitted on few rows,
    a threshold says more of them than of the class (DECISIONS.md has what that is worth). With
    fewer than ten it has the shared one.

    Args:
        probabilities: (N, C) calibrated, of rows that nothing was trained or chosen on.
        labels: (N, C) of 0 and 1.
        names: of the classes.

    >>> shares = np.array([[0.1, 0.4]] * 20 + [[0.3, 0.6]] * 20)
    >>> truth = np.array([[0, 0]] * 20 + [[1, 0]] * 18 + [[1, 1]] * 2)
    >>> fitted = fit_thresholds(shares, truth, ["often", "rare"])
    >>> [round(value, 2) for value in fitted.values], fitted.shared
    ([0.2, 0.2], ('rare',))
    """
    positives = labels.sum(axis=0)
    few = positives < FEWEST_POSITIVES
    values = np.full(len(names), _HALF)
    if labels.any():
        shared = _best(probabilities.ravel(), labels.ravel())
        if _macro_f1(probabilities, labels, shared) >= _macro_f1(probabilities, labels, _HALF):
            values[:] = shared
    for number in np.flatnonzero(~few):
        own = _best(probabilities[:, number], labels[:, number])
        trust = positives[number] / (positives[number] + _PRIOR_POSITIVES)
        values[number] += trust * (own - values[number])
    return Thresholds(
        tuple(float(value) for value in values),
        tuple(int(count) for count in positives),
        tuple(name for name, is_few in zip(names, few, strict=True) if is_few),
    )


def f1_curve(probabilities: Floats, labels: NDArray[np.integer]) -> tuple[Floats, Floats]:
    """Thresholds, ascending, and the F1 of one class at each.

    The thresholds lie midway between neighbouring probabilities, and one below them all.

    Args:
        probabilities: (N,).
        labels: (N,) of 0 and 1.
    """
    order = np.argsort(-probabilities, kind="stable")
    shares, truth = probabilities[order].astype(np.float64), labels[order]
    last = np.flatnonzero(np.append(shares[1:] < shares[:-1], True))
    right = np.cumsum(truth)[last]
    f1 = 2 * right / np.maximum(1, truth.sum() + last + 1)
    below = np.append(shares[last[:-1] + 1], 0.0) if len(last) else np.zeros(0)
    between = (shares[last] + below) / 2
    return between[::-1], f1[::-1]


def _macro_f1(probabilities: Floats, labels: NDArray[np.integer], threshold: float) -> float:
    answered = probabilities >= threshold
    right = (answered & (labels > 0)).sum(axis=0)
    return float(np.mean(2 * right / np.maximum(1, answered.sum(axis=0) + labels.sum(axis=0))))


def _best(probabilities: Floats, labels: NDArray[np.integer]) -> float:
    """The middle one of the best thresholds: less moved by single rows than either end."""
    between, f1 = f1_curve(probabilities, labels)
    best = np.flatnonzero(f1 >= f1.max() - 1e-12)
    return float(between[best[len(best) // 2]])
