"""The contract of a loss, and class weights."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch


class Loss(ABC):
    """How wrong the scores of each row are; the mean over rows is trained on.

    Losses are given row by row, so that any cut of a batch into micro-batches sums to the same.
    """

    def prepare(self, counts: torch.Tensor, rows: int) -> torch.Tensor | None:
        """Weights of the classes, (C,); None for equal ones.

        Args:
            counts: (C,) training rows of each class.
            rows: of training; fewer than all counts together where rows have several classes.
        """
        return None

    @abstractmethod
    def __call__(
        self, logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Losses of rows.

        Args:
            logits: (B, C) float32.
            targets: (B,) int64, or (B, C) float32 of 0 and 1 where rows have several classes.
            weights: (C,) from ``prepare``.

        Returns:
            (B,) float32, not negative.
        """


def positive_weights(counts: torch.Tensor, rows: int, power: float) -> torch.Tensor:
    """(rows without the class / rows with it)^power, at most 100: what a positive row counts.

    >>> positive_weights(torch.tensor([10, 50]), 100, 1.0).tolist()
    [9.0, 1.0]
    """
    some = counts.clamp(min=1).float()
    return ((rows - some).clamp(min=1) / some).pow(power).clamp(max=_MOST)


_MOST = 100.0


def class_weights(counts: torch.Tensor, power: float) -> torch.Tensor:
    """Weights ∝ count^-power whose mean over the training rows is 1; absent classes count as 1 row.

    >>> class_weights(torch.tensor([1.0, 3.0]), 1.0).tolist()
    [2.0, 0.6666666865348816]
    """
    raw = counts.clamp(min=1).float().pow(-power)
    return raw * counts.sum() / (raw * counts).sum()
