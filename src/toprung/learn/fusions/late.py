"""Modalities meet last: a transformer for each, joined only by the pooling."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from toprung.learn.fusions._base import Encoder, Fusion, Shape, Size, of_tokens


class Late(Fusion):
    """One transformer for each modality; a missing one is simply not pooled.

    >>> fusion = Late()
    >>> fusion.build([Size(3, 2), Size(1, 2)], Shape(8, 1, 2, 2, 5, "learned", 0.0))
    >>> tokens, mask = fusion([torch.zeros(1, 5, 6), torch.zeros(1, 5, 2)],
    ...                       torch.tensor([[True, False]]))
    >>> tokens.shape, int(mask.sum())
    (torch.Size([1, 10, 8]), 5)
    """

    def build(self, sizes: Sequence[Size], shape: Shape) -> None:
        self.encoders = nn.ModuleList(Encoder([size], shape) for size in sizes)

    def forward(
        self, patches: Sequence[torch.Tensor], present: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        found = [encoder([own]) for encoder, own in zip(self.encoders, patches, strict=True)]
        return torch.cat(found, dim=1), of_tokens(present, patches[0].shape[1]).long()
