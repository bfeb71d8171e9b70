"""Focal loss: rows that are already right count less."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch.nn import functional

from toprung.learn.losses._base import Loss, class_weights


@dataclass(frozen=True)
class Focal(Loss):
    """-(1 - p)^γ log p of the true class's probability p (Lin et al. 2017, arXiv:1708.02002).

    Attributes:
        gamma: γ; 0 is cross-entropy.
        alpha: weights of classes; ``balanced`` ∝ 1/count, with mean 1 over the training rows.

    >>> right, wrong = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 2.0]])
    >>> target = torch.tensor([0])
    >>> bool(Focal(2.0)(right, target) < 0.02), bool(Focal(2.0)(wrong, target) > 1.5)
    (True, True)
    """

    gamma: float = 2.0
    alpha: Literal["none", "balanced"] = "none"

    def prepare(self, counts: torch.Tensor, rows: int) -> torch.Tensor | None:
        return None if self.alpha == "none" else class_weights(counts, 1.0)

    def __call__(
        self, logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor | None = None
    ) -> torch.Tensor:
        log_p = functional.log_softmax(logits, dim=-1).gather(1, targets[:, None]).squeeze(1)
        # expm1 keeps 1 - p exact where p is near 1; the floor keeps the gradient of a power
        # below 1 finite where p is 1.
        wrong = (-torch.expm1(log_p)).clamp(min=1e-7)
        losses = -(wrong**self.gamma) * log_p
        return losses if weights is None else losses * weights[targets]
