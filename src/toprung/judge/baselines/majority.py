"""Answers with the class that is most frequent in training, whatever the row."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from toprung.data.series import Content
from toprung.judge.baselines._base import Baseline


@dataclass
class Majority(Baseline):
    """The shares of the classes in training, each counted once more than it occurs.

    Where a row may have several labels, each one's share of the rows.

    >>> majority = Majority()
    >>> majority.fit(["a", "b", "c"], np.array([1, 1, 0]), classes=3, seed=0)
    >>> np.exp(majority.logits(["new"])).round(3).tolist()
    [[0.333, 0.5, 0.167]]
    """

    reads: ClassVar[tuple[str, ...]] = ("texts", "series")

    _logits: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0), init=False)

    def fit(self, rows: Content, labels: NDArray[np.integer], classes: int, seed: int) -> None:
        if labels.ndim == 2:
            shares = (labels.sum(axis=0) + 1.0) / (len(labels) + 2.0)
            self._logits = np.log(shares) - np.log1p(-shares)
            return
        counts = np.bincount(labels, minlength=classes) + 1.0
        self._logits = np.log(counts / counts.sum())

    def logits(self, rows: Content) -> NDArray[np.float64]:
        return np.tile(self._logits, (len(rows), 1))
