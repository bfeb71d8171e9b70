"""Single-label classification: one of C classes for each row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from toprung.data.metrics import METRICS, log_softmax, measure
from toprung.data.tasks._base import Floats, Label, Labels, Marks, Task

_SMALLEST = 1e-12


@dataclass(frozen=True)
class SingleLabel(Task):
    """One of C classes for each row; labels are (N,) indices.

    >>> SingleLabel().decide(np.array([[0.2, 0.8]])).tolist()
    [[False, True]]
    """

    losses = ("cross_entropy", "focal")
    metrics = METRICS
    default_metric = "macro_f1"
    splits = ("stopping", "selection")
    label_column = "label"

    def encode(self, rows: Sequence[Label], names: Sequence[str]) -> Labels:
        number: dict[Label, int] = {name: index for index, name in enumerate(names)}
        return np.array([number[row] for row in rows], dtype=np.int64)

    def marks(self, labels: Labels, classes: int) -> Marks:
        return np.asarray(labels[:, None] == np.arange(classes))

    def strata(self, labels: Labels) -> Labels:
        return labels

    def targets(self, labels: Labels) -> NDArray[np.int64] | NDArray[np.float32]:
        return np.array(labels, dtype=np.int64)

    def log_probabilities(self, logits: Floats) -> Floats:
        return log_softmax(logits)

    def logits(self, probabilities: Floats) -> Floats:
        return np.log(np.maximum(np.asarray(probabilities, np.float64), _SMALLEST))

    def decide(self, probabilities: Floats, thresholds: Floats | None = None) -> Marks:
        return self.marks(probabilities.argmax(axis=1), probabilities.shape[1])

    def row_losses(self, logits: Floats, labels: Labels) -> Floats:
        return np.asarray(-log_softmax(logits)[np.arange(len(labels)), labels])

    def measure(
        self, logits: Floats, labels: Labels, thresholds: Floats | None = None
    ) -> dict[str, float]:
        return measure(logits, labels)
