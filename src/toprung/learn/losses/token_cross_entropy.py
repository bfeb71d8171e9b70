"""Cross-entropy of the tokens of a text, with label smoothing."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from toprung.learn.losses._base import Loss


@dataclass(frozen=True)
class TokenCrossEntropy(Loss):
    """Negative log-probability of a target's tokens, in nats.

    The scores of a row are two sums over its tokens, in units of the mean target's length: of
    minus the logarithm of the true token's probability, and of its mean over all tokens. So every
    token counts the same, whatever the batch and its cut.

    Attributes:
        smoothing: share of the target that is spread over all tokens (Szegedy et al. 2016).

    >>> sums = torch.tensor([[2.0, 4.0]])
    >>> TokenCrossEntropy(smoothing=0.5)(sums, torch.zeros(1)).tolist()
    [3.0]
    """

    smoothing: float = 0.0

    def __call__(
        self, logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor | None = None
    ) -> torch.Tensor:
        true, uniform = logits.unbind(dim=1)
        return (1 - self.smoothing) * true + self.smoothing * uniform
