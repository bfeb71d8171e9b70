"""Focal loss of each class: answers that are already right count less."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch.nn import functional

from toprung.learn.losses._base import Loss, positive_weights


@dataclass(frozen=True)
class BinaryFocal(Loss):
    """-(1 - p)^γ log p of the right answer's probability p, the mean over the classes.

    Attributes:
        gamma: γ; 0 is binary cross-entropy.
        alpha: what a positive row counts; ``balanced`` rows without the class over rows with it,
            ``sqrt`` its root; at most 100.

    Source: Lin et al. 2017, "Focal Loss for Dense Object Detection", arXiv:1708.02002.

    >>> right, wrong = torch.tensor([[3.0, -3.0]]), torch.tensor([[-3.0, 3.0]])
    >>> target = torch.tensor([[1.0, 0.0]])
    >>> bool(BinaryFocal()(right, target) < 0.001), bool(BinaryFocal()(wrong, target) > 2)
    (True, True)
    """

    gamma: float = 2.0
    alpha: Literal["none", "balanced", "sqrt"] = "none"

    def prepare(self, counts: torch.Tensor, rows: int) -> torch.Tensor | None:
        if self.alpha == "none":
            return None
        return positive_weights(counts, rows, 1.0 if self.alpha == "balanced" else 0.5)

    def __call__(
        self, logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor | None = None
    ) -> torch.Tensor:
        log_p = functional.logsigmoid(torch.where(targets > 0.5, logits, -logits))
        # The floor keeps the gradient of a power below 1 finite where p is 1.
        wrong = (-torch.expm1(log_p)).clamp(min=1e-7)
        losses = -(wrong**self.gamma) * log_p
        if weights is not None:
            losses = torch.where(targets > 0.5, losses * weights, losses)
        return losses.mean(dim=-1)
