"""Single-label classification: one of C classes for each text."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from toprung.data.metrics import measure
from toprung.learn.tasks._base import Task


@dataclass(frozen=True)
class SingleLabel(Task):
    """One of C classes for each text; labels are (N,) indices.

    >>> SingleLabel().outputs(77)
    77
    """

    losses = ("cross_entropy", "focal")

    def outputs(self, classes: int) -> int:
        return classes

    def targets(self, labels: NDArray[np.int64]) -> torch.Tensor:
        return torch.from_numpy(np.array(labels, dtype=np.int64))

    def measure(self, logits: NDArray[np.float32], labels: NDArray[np.int64]) -> dict[str, float]:
        return measure(logits, labels)
