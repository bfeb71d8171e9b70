"""Asymmetric loss: rows without a class are focused on harder than rows with it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional

from toprung.learn.losses._base import Loss


@dataclass(frozen=True)
class Asymmetric(Loss):
    """-(1 - p)^γ+ log p of rows with a class, -q^γ- log(1 - q) of others; q = max(p - m, 0).

    The mean over the classes is taken, the paper takes the sum.

    Attributes:
        gamma: γ- of rows without a class.
        gamma_positive: γ+ of rows with it.
        margin: m; rows without a class whose probability is below it count nothing.

    Source: Ridnik et al. 2021, "Asymmetric Loss For Multi-Label Classification", arXiv:2009.14119.

    >>> one = torch.tensor([[1.0, 0.0]])
    >>> easy, hard = Asymmetric()(torch.tensor([[4.0, -4.0], [4.0, 4.0]]), one.repeat(2, 1))
    >>> bool(easy < 0.02), bool(hard > 1)
    (True, True)
    """

    gamma: float = 4.0
    gamma_positive: float = 1.0
    margin: float = 0.05

    def __call__(
        self, logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor | None = None
    ) -> torch.Tensor:
        log_p = functional.logsigmoid(logits)
        missed = (-torch.expm1(log_p)).clamp(min=1e-7)
        with_class = -(missed**self.gamma_positive) * log_p
        claimed = (logits.sigmoid() - self.margin).clamp(min=1e-7, max=1 - 1e-7)
        without = -(claimed**self.gamma) * torch.log1p(-claimed)
        return torch.where(targets > 0.5, with_class, without).mean(dim=-1)
