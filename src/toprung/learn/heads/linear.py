"""One linear layer."""

from __future__ import annotations

import torch
from torch import nn

from toprung.learn.heads._base import Head


class Linear(Head):
    """One linear layer; the top-level ``dropout`` stands before it.

    >>> head = Linear()
    >>> head.build(4, 3)
    >>> head(torch.zeros(2, 4)).shape
    torch.Size([2, 3])
    """

    def build(self, width: int, outputs: int) -> None:
        self.score = nn.Linear(width, outputs)
        nn.init.normal_(self.score.weight, std=0.02)
        nn.init.zeros_(self.score.bias)

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.score(vectors)
        return scores
