"""The contract of a pooling."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import nn


class Pooling(nn.Module, ABC):
    """Token vectors to one vector a text; what padding holds has no influence."""

    def build(self, hidden: int) -> int:
        """Makes the weights, if any, and gives the width of the text's vector.

        Args:
            hidden: width of a token's vector.
        """
        return hidden

    @abstractmethod
    def forward(self, states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Text vectors.

        Args:
            states: (B, T, H) float32.
            mask: (B, T) int64; 1 for a token, 0 for padding; at least one token a row.

        Returns:
            (B, W) float32, W as ``build`` gave it.
        """


def mean(states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Mean over tokens, (B, T, H) → (B, H).

    >>> mean(torch.tensor([[[2.0], [4.0], [9.0]]]), torch.tensor([[1, 1, 0]])).tolist()
    [[3.0]]
    """
    weight = mask.to(states.dtype)[..., None]
    kept = states.masked_fill(mask[..., None] == 0, 0.0)
    return kept.sum(dim=1) / weight.sum(dim=1)


def maximum(states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Largest value over tokens in each dimension, (B, T, H) → (B, H)."""
    return states.masked_fill(mask[..., None] == 0, -torch.inf).amax(dim=1)
