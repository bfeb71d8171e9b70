"""Metrics from counts of classes, over many predictors or resamples at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class ClassCounts:
    """What metrics of classification are made of; the last axis of each array is the class.

    Attributes:
        right: (..., C) rows of a class that were predicted as it.
        actual: (..., C) rows of a class.
        predicted: (..., C) rows predicted as a class.
    """

    right: Numbers
    actual: Numbers
    predicted: Numbers

    def precision(self) -> Numbers:
        """(..., C); 0 for a class that is never predicted."""
        return _ratio(self.right, self.predicted)

    def recall(self) -> Numbers:
        """(..., C); 0 for a class without rows."""
        return _ratio(self.right, self.actual)

    def f1(self) -> Numbers:
        """(..., C); 0 for a class with neither rows nor predictions."""
        return _ratio(2 * self.right, self.actual + self.predicted)


def count_classes(
    labels: NDArray[np.integer], predicted: NDArray[np.integer], classes: int
) -> ClassCounts:
    """The counts of one predictor: labels (N,), predicted (N,) of whole numbers below C.

    >>> counts = count_classes(np.array([0, 0, 1]), np.array([0, 1, 1]), 2)
    >>> float(FROM_COUNTS["accuracy"](counts)), counts.precision().tolist()
    (0.6666666666666666, [1.0, 0.5])
    """
    return ClassCounts(
        np.bincount(labels[labels == predicted], minlength=classes).astype(np.float64),
        np.bincount(labels, minlength=classes).astype(np.float64),
        np.bincount(predicted, minlength=classes).astype(np.float64),
    )


def _accuracy(counts: ClassCounts) -> Numbers:
    return _ratio(counts.right.sum(-1), counts.actual.sum(-1))


def _macro_f1(counts: ClassCounts) -> Numbers:
    return _mean(counts.f1())


def _weighted_f1(counts: ClassCounts) -> Numbers:
    return _ratio((counts.f1() * counts.actual).sum(-1), counts.actual.sum(-1))


def _micro_f1(counts: ClassCounts) -> Numbers:
    both = counts.actual.sum(-1) + counts.predicted.sum(-1)
    return _ratio(2 * counts.right.sum(-1), both)


def _macro_precision(counts: ClassCounts) -> Numbers:
    return _mean(counts.precision())


def _macro_recall(counts: ClassCounts) -> Numbers:
    return _mean(counts.recall())


def _positive_f1(counts: ClassCounts) -> Numbers:
    """Of the last class, which is the positive one where a task has any."""
    return counts.f1()[..., -1]


FROM_COUNTS: Mapping[str, Callable[[ClassCounts], Numbers]] = {
    "accuracy": _accuracy,
    "macro_f1": _macro_f1,
    "micro_f1": _micro_f1,
    "weighted_f1": _weighted_f1,
    "macro_precision": _macro_precision,
    "macro_recall": _macro_recall,
    "positive_f1": _positive_f1,
}


def _mean(values: Numbers) -> Numbers:
    return np.asarray(values.mean(-1))


def _ratio(above: Numbers, below: Numbers) -> Numbers:
    above, below = np.asarray(above, np.float64), np.asarray(below, np.float64)
    return np.divide(above, below, out=np.zeros(np.shape(above)), where=below > 0)
