"""The contract of a task."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import torch
from numpy.typing import NDArray


class Task(ABC):
    """What a model answers about a text."""

    losses: tuple[str, ...]
    """Names of the losses that fit."""

    @abstractmethod
    def outputs(self, classes: int) -> int:
        """How many scores the head gives for a text."""

    @abstractmethod
    def targets(self, labels: NDArray[np.int64]) -> torch.Tensor:
        """Labels as the losses take them, rows first."""

    @abstractmethod
    def measure(self, logits: NDArray[np.float32], labels: NDArray[np.int64]) -> dict[str, float]:
        """Every metric of the task for the rows' scores."""
