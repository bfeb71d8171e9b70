"""The mean of the tokens' vectors."""

from __future__ import annotations

import torch

from toprung.learn.poolings._base import Pooling, mean


class Mean(Pooling):
    """The mean of the tokens' vectors, padding left out.

    >>> Mean()(torch.tensor([[[1.0], [5.0], [7.0]]]), torch.tensor([[1, 1, 0]])).tolist()
    [[3.0]]
    """

    def forward(self, states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return mean(states, mask)
