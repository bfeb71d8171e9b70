"""The contract of a fusion, and the layers that all of them are made of."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from toprung.learn import positions


@dataclass(frozen=True)
class Shape:
    """Sizes of a transformer over patches.

    Attributes:
        width: H, of a patch's vector.
        layers: of each stack.
        heads: of attention; they divide the width.
        expansion: width of the inner layer over H.
        patches: P of a window.
        position: name of the positional encoding.
        stem: what the steps of a window pass through before they are cut, see ``Stem``.
        dropout: of attention's and the inner layer's output.
    """

    width: int
    layers: int
    heads: int
    expansion: int
    patches: int
    position: str
    dropout: float
    stem: str = "none"


class Size(NamedTuple):
    """Steps and channels of a patch of one modality."""

    steps: int
    channels: int


class Fusion(nn.Module, ABC):
    """The patches of all modalities to tokens that a pooling makes one vector of."""

    @abstractmethod
    def build(self, sizes: Sequence[Size], shape: Shape) -> None:
        """Makes the weights.

        Args:
            sizes: of a patch of each of the M modalities.
            shape: of the transformer.
        """

    @abstractmethod
    def forward(
        self, patches: Sequence[torch.Tensor], present: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Tokens and which of them count.

        Args:
            patches: (B, P, steps * channels) float32 of each modality; zeros where it is missing.
            present: (B, M) bool; at least one modality a row.

        Returns:
            (B, S, H) float32, and (B, S) int64 of 1 and 0; what a token says where it is 0 has no
            influence on the others.
        """


class Layer(nn.Module):
    """Attention and a feed-forward net, each behind a norm and beside a residual connection.

    Pre-norm, after Xiong et al. 2020, arXiv:2002.04745.

    Args:
        shape: of the transformer.

    >>> layer = Layer(Shape(8, 1, 2, 2, 5, "learned", 0.0))
    >>> layer(torch.zeros(3, 5, 8)).shape
    torch.Size([3, 5, 8])
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        width, inner = shape.width, shape.expansion * shape.width
        self.heads, self.dropout = shape.heads, shape.dropout
        self.norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)
        self.inner_norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, inner)
        self.down = nn.Linear(inner, width)

    def forward(
        self,
        tokens: torch.Tensor,
        context: torch.Tensor | None = None,
        mask: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Tokens that have looked at a context, (B, S, H).

        Args:
            tokens: (B, S, H).
            context: (B, K, H) normalised; None is the tokens themselves.
            mask: (B, K) bool; which of the context may be looked at, at least one a row.
        """
        own = self.norm(tokens)
        found = self._attend(own, own if context is None else context, mask)
        tokens = tokens + functional.dropout(found, self.dropout, self.training)
        inner = self.down(functional.gelu(self.up(self.inner_norm(tokens))))
        return tokens + functional.dropout(inner, self.dropout, self.training)

    def _attend(
        self, own: torch.Tensor, context: torch.Tensor, mask: torch.Tensor | None
    ) -> torch.Tensor:
        rows, width = len(own), own.shape[-1]

        def split(vectors: torch.Tensor) -> torch.Tensor:
            return vectors.view(rows, -1, self.heads, width // self.heads).transpose(1, 2)

        key, value = self.key_value(context).chunk(2, dim=-1)
        seen = None if mask is None else mask[:, None, None, :]
        found = functional.scaled_dot_product_attention(
            split(self.query(own)), split(key), split(value), attn_mask=seen
        )
        out: torch.Tensor = self.out(found.transpose(1, 2).reshape(rows, -1, width))
        return out


class Encoder(nn.Module):
    """Patches of one or several modalities to vectors that know their places and each other.

    Args:
        sizes: of a patch of each modality, which stand side by side.
        marks: values behind them that are the same for a whole window.
        shape: of the transformer.
    """

    def __init__(self, sizes: Sequence[Size], shape: Shape, marks: int = 0) -> None:
        super().__init__()
        self.embed = nn.ModuleList(
            Convolution(steps, channels, shape.width)
            if shape.stem == "convolution"
            else nn.Linear(steps * channels, shape.width)
            for steps, channels in sizes
        )
        self.marks = nn.Linear(marks, shape.width, bias=False) if marks else None
        self.position = positions.registry.make(shape.position, {})
        self.position.build(shape.patches, shape.width)
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.layers))
        self.norm = nn.LayerNorm(shape.width)

    def forward(
        self, patches: Sequence[torch.Tensor], marks: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Vectors of patches: (B, P, L * C) of each modality and (B, marks) → (B, P, H)."""
        tokens = torch.stack([e(own) for e, own in zip(self.embed, patches, strict=True)]).sum(0)
        if self.marks is not None and marks is not None:
            tokens = tokens + self.marks(marks)[:, None]
        tokens = self.position(tokens)
        for layer in self.layers:
            tokens = layer(tokens)
        found: torch.Tensor = self.norm(tokens)
        return found


class Convolution(nn.Module):
    """Steps through two convolutions and ReLUs, then each patch through a linear layer.

    The first sees five steps across the borders of patches. After Xiao et al. 2021, "Early
    Convolutions Help Transformers See Better", arXiv:2106.14881.

    Args:
        steps: L of a patch.
        channels: C of a step.
        width: of a patch's vector.

    >>> Convolution(3, 2, 8)(torch.zeros(4, 5, 6)).shape
    torch.Size([4, 5, 8])
    """

    def __init__(self, steps: int, channels: int, width: int) -> None:
        super().__init__()
        self.channels = channels
        inner = max(4, width // 4)
        self.first = nn.Conv1d(channels, inner, 5, padding=2)
        self.second = nn.Conv1d(inner, inner, 3, padding=1)
        self.out = nn.Linear(steps * inner, width)

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        """Vectors of patches: (B, P, L * C) → (B, P, H)."""
        rows, count, _ = patches.shape
        values = patches.reshape(rows, -1, self.channels).transpose(1, 2)
        # Over every step GELU's backward pass would cost more than the convolutions.
        values = functional.relu(self.second(functional.relu(self.first(values))))
        found: torch.Tensor = self.out(values.transpose(1, 2).reshape(rows, count, -1))
        return found


def of_tokens(present: torch.Tensor, patches: int) -> torch.Tensor:
    """Which tokens count, (B, M) → (B, M * P): all patches of a modality or none.

    >>> of_tokens(torch.tensor([[True, False]]), 2).tolist()
    [[True, True, False, False]]
    """
    return present.repeat_interleave(patches, dim=1)
