"""The contract of an architecture for windows of several modalities."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from toprung.data.series import Shape
from toprung.learn.fusions._base import Fusion


class Architecture(ABC):
    """The shape of a model that no pretrained weights are loaded into."""

    width: int
    """Of a token's vector."""

    @abstractmethod
    def patches(self, shapes: Sequence[Shape]) -> int:
        """How many tokens a window of these modalities becomes, for each of them."""

    @abstractmethod
    def make(self, shapes: Sequence[Shape], dropout: float) -> Fusion:
        """The model from patches to tokens; new weights come from torch's global generator.

        Args:
            shapes: steps and channels of each modality.
            dropout: of its layers.
        """
