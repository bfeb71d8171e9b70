"""A hidden layer, with a residual connection and layer norm where asked for."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from toprung.learn.heads._base import Head


class Mlp(Head):
    """width → hidden → scores, GELU between.

    With ``residual`` the hidden layer is projected back and added to the text's vector before
    the scores: scores(x + down(gelu(up(norm(x))))), after He et al. 2016 in the pre-norm form.

    Args:
        hidden: width of the hidden layer.
        residual: whether the text's vector is added to what the hidden layer gives.
        layer_norm: whether the text's vector is normalised first.
        dropout: on the hidden layer.

    >>> head = Mlp(hidden=8, residual=True)
    >>> head.build(4, 3)
    >>> head(torch.zeros(2, 4)).shape
    torch.Size([2, 3])
    """

    def __init__(
        self,
        hidden: int = 256,
        residual: bool = False,
        layer_norm: bool = False,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.hidden = hidden
        self.residual = residual
        self.layer_norm = layer_norm
        self.dropout = dropout

    def build(self, width: int, outputs: int) -> None:
        self.norm: nn.Module = nn.LayerNorm(width) if self.layer_norm else nn.Identity()
        self.up = nn.Linear(width, self.hidden)
        self.down: nn.Module = nn.Linear(self.hidden, width) if self.residual else nn.Identity()
        self.score = nn.Linear(width if self.residual else self.hidden, outputs)
        nn.init.normal_(self.score.weight, std=0.02)
        nn.init.zeros_(self.score.bias)

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        inner = functional.gelu(self.up(self.norm(vectors)))
        inner = self.down(functional.dropout(inner, self.dropout, self.training))
        scores: torch.Tensor = self.score(vectors + inner if self.residual else inner)
        return scores
