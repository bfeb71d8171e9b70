"""The contract of a head."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import nn


class Head(nn.Module, ABC):
    """A text's vector to its scores."""

    @abstractmethod
    def build(self, width: int, outputs: int) -> None:
        """Makes the weights.

        Args:
            width: of the text's vector.
            outputs: scores to give.
        """

    @abstractmethod
    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        """Scores: (B, W) float32 → (B, outputs) float32."""
