"""Modalities meet at once: a token is one patch of all of them together."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from toprung.learn.fusions._base import Encoder, Fusion, Shape, Size


class Early(Fusion):
    """One transformer; a token is the sum of what each modality makes of its patch; cheapest.

    A missing modality is read as its mean, and a mark says that it is not there.

    >>> fusion = Early()
    >>> fusion.build([Size(3, 2), Size(1, 2)], Shape(8, 1, 2, 2, 5, "learned", 0.0))
    >>> tokens, mask = fusion([torch.zeros(3, 5, 6), torch.zeros(3, 5, 2)], torch.ones(3, 2).bool())
    >>> tokens.shape, int(mask.sum())
    (torch.Size([3, 5, 8]), 15)
    """

    def build(self, sizes: Sequence[Size], shape: Shape) -> None:
        self.encoder = Encoder(sizes, shape, marks=len(sizes))

    def forward(
        self, patches: Sequence[torch.Tensor], present: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        tokens = self.encoder(patches, present.to(patches[0].dtype))
        return tokens, torch.ones(tokens.shape[:2], dtype=torch.int64, device=tokens.device)
