"""Mean and maximum, one after the other."""

from __future__ import annotations

import torch

from toprung.learn.poolings._base import Pooling, maximum, mean


class MeanMax(Pooling):
    """The mean of the tokens' vectors followed by their maximum; twice as wide.

    >>> pooling = MeanMax()
    >>> pooling.build(1)
    2
    >>> pooling(torch.tensor([[[1.0], [5.0], [7.0]]]), torch.tensor([[1, 1, 0]])).tolist()
    [[3.0, 5.0]]
    """

    def build(self, hidden: int) -> int:
        return 2 * hidden

    def forward(self, states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return torch.cat([mean(states, mask), maximum(states, mask)], dim=-1)
