"""A transformer over patches of one or several modalities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from toprung.data.series import Shape
from toprung.learn import fusions
from toprung.learn.architectures._base import Architecture
from toprung.learn.fusions._base import Fusion, Size
from toprung.learn.fusions._base import Shape as Sizes


@dataclass(frozen=True)
class Transformer(Architecture):
    """Windows are cut into patches, each a token; of the longest modality, ``patch`` steps each.

    Shorter modalities are cut into as many patches of fewer steps, so that the i-th patch of each
    stands for the same part of the window. After Nie et al. 2023, arXiv:2211.14730.

    Attributes:
        width: of a token's vector.
        layers: of attention, in each stack.
        heads: of attention; they divide the width.
        patch: steps of a token.
        fusion: where the modalities meet.
        position: how the order of tokens is told.
        expansion: width of the inner layers over that of a token.
        stem: ``convolution`` lets each step see its neighbours before patches are cut.

    >>> Transformer(patch=10).patches([(100, 3), (25, 1)])
    10
    """

    width: int = 64
    layers: int = 2
    heads: int = 4
    patch: int = 10
    fusion: Literal["early", "late", "cross_attention"] = "early"
    position: Literal["learned", "sinusoidal"] = "learned"
    expansion: int = 2
    stem: Literal["none", "convolution"] = "none"

    def __post_init__(self) -> None:
        if self.heads < 1 or self.width % self.heads:
            raise ValueError(f"{self.heads} heads do not divide a width of {self.width}")

    def patches(self, shapes: Sequence[Shape]) -> int:
        longest = max(steps for steps, _ in shapes)
        return -(-longest // self.patch)

    def make(self, shapes: Sequence[Shape], dropout: float) -> Fusion:
        count = self.patches(shapes)
        fusion = fusions.registry.make(self.fusion, {})
        sizes = Sizes(
            width=self.width,
            layers=self.layers,
            heads=self.heads,
            expansion=self.expansion,
            patches=count,
            position=self.position,
            dropout=dropout,
            stem=self.stem,
        )
        fusion.build([Size(-(-steps // count), channels) for steps, channels in shapes], sizes)
        return fusion
