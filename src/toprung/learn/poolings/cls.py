"""The first token's vector."""

from __future__ import annotations

import torch

from toprung.learn.poolings._base import Pooling


class Cls(Pooling):
    """The vector of the first token, which encoders are pretrained to fill.

    >>> Cls()(torch.tensor([[[1.0], [5.0]]]), torch.tensor([[1, 1]])).tolist()
    [[1.0]]
    """

    def forward(self, states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return states[:, 0]
