"""Modalities meet at once: a token is one patch of all of them side by side."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from toprung.learn.fusions._base import Encoder, Fusion, Shape


class Early(Fusion):
    """One transformer over patches of all modalities' values; cheapest.

    A missing modality's values are zero, which is the mean, and a mark beside them says so.

    >>> fusion = Early()
    >>> fusion.build([6, 2], Shape(8, 1, 2, 2, 5, "learned", 0.0))
    >>> tokens, mask = fusion([torch.zeros(3, 5, 6), torch.zeros(3, 5, 2)], torch.ones(3, 2).bool())
    >>> tokens.shape, int(mask.sum())
    (torch.Size([3, 5, 8]), 15)
    """

    def build(self, sizes: Sequence[int], shape: Shape) -> None:
        self.encoder = Encoder(sum(sizes) + len(sizes), shape)

    def forward(
        self, patches: Sequence[torch.Tensor], present: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        rows, length = patches[0].shape[:2]
        marks = present.to(patches[0].dtype)[:, None, :].expand(rows, length, -1)
        tokens = self.encoder(torch.cat([*patches, marks], dim=-1))
        return tokens, torch.ones((rows, length), dtype=torch.int64, device=tokens.device)
