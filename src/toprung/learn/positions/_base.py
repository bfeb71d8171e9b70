"""The contract of a positional encoding."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import nn


class Position(nn.Module, ABC):
    """Adds to each patch's vector what says where it stands."""

    @abstractmethod
    def build(self, length: int, width: int) -> None:
        """Makes the encoding.

        Args:
            length: patches of a window.
            width: of a patch's vector.
        """

    @abstractmethod
    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Vectors with their places: (B, P, H) → (B, P, H)."""
