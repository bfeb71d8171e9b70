"""Sines and cosines of the place, of falling frequencies; nothing is trained."""

from __future__ import annotations

import math

import torch

from toprung.learn.positions._base import Position


class Sinusoidal(Position):
    """sin(p / 10000^(2i/H)) and its cosine, by turns (Vaswani et al. 2017, arXiv:1706.03762).

    >>> position = Sinusoidal()
    >>> position.build(2, 4)
    >>> position(torch.zeros(1, 2, 4))[0, 0].tolist()
    [0.0, 1.0, 0.0, 1.0]
    """

    def build(self, length: int, width: int) -> None:
        places = torch.arange(length)[:, None]
        rates = torch.exp(torch.arange(0, width, 2) * (-math.log(10000.0) / width))
        angles = places * rates
        found = torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)[:, :width]
        self.register_buffer("places", found, persistent=False)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        places = self.get_buffer("places")
        return tokens + places
