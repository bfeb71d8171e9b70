"""A temperature fitted by scikit-learn."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator

Floats = NDArray[np.floating]
Labels = NDArray[np.integer]


class _Scores(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Scores that are given: its rows are already the log-probabilities."""

    def __init__(self, classes: int = 2) -> None:
        self.classes = classes

    def fit(self, scores: Floats, labels: Labels) -> _Scores:
        """Learns nothing but the number of classes."""
        self.classes_ = np.arange(self.classes)
        return self

    def decision_function(self, scores: Floats) -> Floats:
        """(N, C) as given; (N,) half the margin of two classes."""
        return scores if self.classes > 2 else (scores[:, 1] - scores[:, 0]) / 2


def fit_temperature(scores: Floats, labels: Labels) -> float:
    """The divisor of log-probabilities that gives the lowest log-loss.

    Args:
        scores: (N, C) log-probabilities.
        labels: (N,) of two classes at least.
    """
    rows = np.arange(len(labels))
    calibrated = CalibratedClassifierCV(
        FrozenEstimator(_Scores(scores.shape[1]).fit(scores, labels)),
        method="temperature",
        cv=[(rows, rows)],
        ensemble=True,
    )
    calibrated.fit(scores, labels)
    return 1 / float(calibrated.calibrated_classifiers_[0].calibrators[0].beta_)
