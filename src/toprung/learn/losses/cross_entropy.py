"""Cross-entropy, with label smoothing and class weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch.nn import functional

from toprung.learn.losses._base import Loss, class_weights


@dataclass(frozen=True)
class CrossEntropy(Loss):
    """Negative log-probability of the true class, in nats.

    A row's loss is multiplied by the weight of its true class. Weights average to 1 over the
    training rows, so that they do not change the learning rate.

    Attributes:
        smoothing: share of the target that is spread over all classes (Szegedy et al. 2016).
        class_weights: ``balanced`` ∝ 1/count; ``sqrt`` ∝ 1/√count.

    >>> CrossEntropy()(torch.zeros(1, 4), torch.tensor([2])).exp().round().tolist()
    [4.0]
    """

    smoothing: float = 0.0
    class_weights: Literal["none", "balanced", "sqrt"] = "none"

    def prepare(self, counts: torch.Tensor, rows: int) -> torch.Tensor | None:
        if self.class_weights == "none":
            return None
        return class_weights(counts, 1.0 if self.class_weights == "balanced" else 0.5)

    def __call__(
        self, logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor | None = None
    ) -> torch.Tensor:
        losses = functional.cross_entropy(
            logits, targets, reduction="none", label_smoothing=self.smoothing
        )
        return losses if weights is None else losses * weights[targets]
