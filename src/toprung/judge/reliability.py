"""How far confidence can be believed, and the curves of one class against the others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import (
    average_precision_score,
    precision_recall_curve,
    roc_auc_score,
    roc_curve,
)

from toprung.data.tasks._base import Labels, Task
from toprung.judge.calibrate import answers_of, expected_calibration_error

Floats = NDArray[np.floating]
_POINTS = 101


@dataclass(frozen=True, eq=False)
class Reliability:
    """Confidence against accuracy, in bins of equal width.

    Attributes:
        confidence: (B,) mean of each bin that has rows.
        accuracy: (B,) of them.
        rows: (B,) in each.
        error: expected calibration error, over 15 bins.
    """

    confidence: Floats
    accuracy: Floats
    rows: NDArray[np.int64]
    error: float


def reliability(probabilities: Floats, labels: Labels, task: Task, bins: int = 10) -> Reliability:
    """Of (N, C) probabilities; where a row may have several labels, of each pair of row and class.

    >>> from toprung.data.tasks.single_label import SingleLabel
    >>> shares = np.array([[0.75, 0.25]] * 4)
    >>> reliability(shares, np.array([0, 0, 0, 1]), SingleLabel()).accuracy.tolist()
    [0.75]
    """
    shares, truth = answers_of(probabilities, labels, task)
    confidence = shares.max(axis=1)
    right = shares.argmax(axis=1) == truth
    places = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    rows = np.bincount(places, minlength=bins)
    some = rows > 0
    return Reliability(
        np.bincount(places, weights=confidence, minlength=bins)[some] / rows[some],
        np.bincount(places, weights=right, minlength=bins)[some] / rows[some],
        rows[some],
        expected_calibration_error(shares, truth),
    )


@dataclass(frozen=True, eq=False)
class ClassCurve:
    """One class against all others, by falling probability.

    Attributes:
        name: of the class.
        false_positives, true_positives: (P,) rates of the ROC curve.
        recall, precision: (P,).
        auc, average_precision: areas below them.
    """

    name: str
    false_positives: Floats
    true_positives: Floats
    recall: Floats
    precision: Floats
    auc: float
    average_precision: float


def class_curves(
    probabilities: Floats, labels: Labels, task: Task, names: tuple[str, ...]
) -> list[ClassCurve]:
    """A curve for each class that has rows of both kinds; of two exclusive ones the second only."""
    marks = task.marks(labels, len(names))
    wanted = [1] if len(names) == 2 and not task.many else range(len(names))
    found = []
    grid = np.linspace(0, 1, _POINTS)
    for c in wanted:
        if not 0 < marks[:, c].sum() < len(marks):
            continue
        false, true, _ = roc_curve(marks[:, c], probabilities[:, c])
        precision, recall, _ = precision_recall_curve(marks[:, c], probabilities[:, c])
        # Precision at a recall is the best that is reached with at least that recall.
        best = np.maximum.accumulate(precision)[::-1]
        found.append(
            ClassCurve(
                names[c],
                grid,
                np.interp(grid, false, true),
                grid,
                np.interp(grid, recall[::-1], best),
                float(roc_auc_score(marks[:, c], probabilities[:, c])),
                float(average_precision_score(marks[:, c], probabilities[:, c])),
            )
        )
    return found


@dataclass(frozen=True, eq=False)
class ThresholdCurve:
    """F1, precision and recall of one class over its threshold.

    Attributes:
        name: of the class.
        grid: (P,) thresholds.
        f1, precision, recall: (P,).
        chosen: the threshold that was fitted.
    """

    name: str
    grid: Floats
    f1: Floats
    precision: Floats
    recall: Floats
    chosen: float


def threshold_curves(
    probabilities: Floats, labels: Labels, thresholds: Floats, names: tuple[str, ...]
) -> list[ThresholdCurve]:
    """A curve for each class that has a row, for labels (N, C) of 0 and 1."""
    grid = np.linspace(0, 1, _POINTS)
    found = []
    for c, name in enumerate(names):
        truth = labels[:, c] > 0
        if not truth.any():
            continue
        answered = probabilities[:, c][:, None] >= grid
        right = (answered & truth[:, None]).sum(axis=0)
        count = answered.sum(axis=0)
        precision = np.divide(right, count, out=np.full(_POINTS, np.nan), where=count > 0)
        f1 = 2 * right / (count + truth.sum())
        recall = right / truth.sum()
        found.append(ThresholdCurve(name, grid, f1, precision, recall, float(thresholds[c])))
    return found
