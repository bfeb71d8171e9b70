"""A learned weighted mean of the tokens' vectors."""

from __future__ import annotations

import torch
from torch import nn

from toprung.learn.poolings._base import Pooling


class Attention(Pooling):
    """A mean of the tokens' vectors, weighted by a learned score of each (Yang et al. 2016).

    score = v · tanh(W state + b), softmax over the tokens. v starts at zero, so that training
    starts from the plain mean.

    >>> pooling = Attention()
    >>> pooling.build(1)
    1
    >>> pooling(torch.tensor([[[1.0], [5.0], [7.0]]]), torch.tensor([[1, 1, 0]])).tolist()
    [[3.0]]
    """

    def build(self, hidden: int) -> int:
        self.project = nn.Linear(hidden, hidden)
        self.score = nn.Linear(hidden, 1, bias=False)
        nn.init.zeros_(self.score.weight)
        return hidden

    def forward(self, states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        kept = states.masked_fill(mask[..., None] == 0, 0.0)
        scores = self.score(torch.tanh(self.project(kept))).squeeze(-1)
        weights = scores.masked_fill(mask == 0, -torch.inf).softmax(dim=-1)
        pooled: torch.Tensor = (weights[:, None] @ kept).squeeze(1)
        return pooled
