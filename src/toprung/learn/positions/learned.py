"""A trained vector for each place."""

from __future__ import annotations

import torch
from torch import nn

from toprung.learn.positions._base import Position


class Learned(Position):
    """A trained vector for each place (Gehring et al. 2017, arXiv:1705.03122).

    >>> position = Learned()
    >>> position.build(3, 4)
    >>> position(torch.zeros(2, 3, 4)).shape
    torch.Size([2, 3, 4])
    """

    def build(self, length: int, width: int) -> None:
        self.places = nn.Parameter(torch.empty(length, width))
        nn.init.normal_(self.places, std=0.02)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return tokens + self.places
