"""Binary cross-entropy of each class, with label smoothing and class weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch.nn import functional

from toprung.learn.losses._base import Loss, positive_weights


@dataclass(frozen=True)
class Bce(Loss):
    """Minus the log-probability of the right answer, yes or no, to each class; the mean, nats.

    Attributes:
        smoothing: share s of a target that moves towards 1/2: 1 becomes 1 - s/2, 0 becomes s/2.
        class_weights: what a positive row counts: ``balanced`` rows without the class over rows
            with it, ``sqrt`` its root; at most 100.

    >>> Bce()(torch.zeros(1, 4), torch.tensor([[0.0, 1.0, 0.0, 1.0]])).exp().round().tolist()
    [2.0]
    """

    smoothing: float = 0.0
    class_weights: Literal["none", "balanced", "sqrt"] = "none"

    def prepare(self, counts: torch.Tensor, rows: int) -> torch.Tensor | None:
        if self.class_weights == "none":
            return None
        return positive_weights(counts, rows, 1.0 if self.class_weights == "balanced" else 0.5)

    def __call__(
        self, logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor | None = None
    ) -> torch.Tensor:
        smooth = targets * (1 - self.smoothing) + self.smoothing / 2
        losses = functional.binary_cross_entropy_with_logits(
            logits, smooth, pos_weight=weights, reduction="none"
        )
        return losses.mean(dim=-1)
