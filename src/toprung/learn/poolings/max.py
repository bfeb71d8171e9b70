"""The largest value of each dimension over the tokens."""

from __future__ import annotations

import torch

from toprung.learn.poolings._base import Pooling, maximum


class Max(Pooling):
    """The largest value of each dimension over the tokens, padding left out.

    >>> Max()(torch.tensor([[[1.0], [5.0], [7.0]]]), torch.tensor([[1, 1, 0]])).tolist()
    [[5.0]]
    """

    def forward(self, states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return maximum(states, mask)
