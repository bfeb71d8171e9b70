"""Modalities meet half-way: each is read alone, then looks at all of them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from toprung.learn.fusions._base import Encoder, Fusion, Layer, Shape, Size, of_tokens


class CrossAttention(Fusion):
    """A transformer for each modality, then a layer in which each attends to all that are there.

    After Tsai et al. 2019, "Multimodal Transformer for Unaligned Multimodal Language Sequences",
    arXiv:1906.00295, with one layer of attention to all modalities in place of one for each pair.

    >>> fusion = CrossAttention()
    >>> fusion.build([Size(3, 2), Size(1, 2)], Shape(8, 1, 2, 2, 5, "learned", 0.0))
    >>> tokens, mask = fusion([torch.zeros(1, 5, 6), torch.zeros(1, 5, 2)],
    ...                       torch.tensor([[True, False]]))
    >>> tokens.shape, int(mask.sum())
    (torch.Size([1, 10, 8]), 5)
    """

    def build(self, sizes: Sequence[Size], shape: Shape) -> None:
        self.encoders = nn.ModuleList(Encoder([size], shape) for size in sizes)
        self.kinds = nn.Parameter(torch.empty(len(sizes), shape.width))
        nn.init.normal_(self.kinds, std=0.02)
        self.across = nn.ModuleList(Layer(shape) for _ in sizes)
        self.norm = nn.LayerNorm(shape.width)

    def forward(
        self, patches: Sequence[torch.Tensor], present: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        alone = [
            encoder([own]) + kind
            for encoder, own, kind in zip(self.encoders, patches, self.kinds, strict=True)
        ]
        context, seen = torch.cat(alone, dim=1), of_tokens(present, patches[0].shape[1])
        found = [layer(own, context, seen) for layer, own in zip(self.across, alone, strict=True)]
        return self.norm(torch.cat(found, dim=1)), seen.long()
