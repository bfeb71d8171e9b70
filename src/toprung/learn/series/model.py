"""A model of windows: patches, fusion, pooling, heads, and what is left out."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from toprung.data.series import Shape
from toprung.learn import architectures, heads, poolings
from toprung.learn.architectures._base import Architecture
from toprung.learn.fusions._base import Fusion
from toprung.learn.heads._base import Head
from toprung.learn.model import Model
from toprung.learn.poolings._base import Pooling
from toprung.learn.series.settings import SeriesSettings, series_settings_of
from toprung.learn.settings import choose, settings_of
from toprung.trial.config import TrialConfig


class WindowClassifier(Model):
    """Windows of several modalities to scores.

    Args:
        fusion: built for the modalities.
        pooling: built for the fusion's width.
        head: built for the pooling's width; None gives no scores of auxiliary targets.
        auxiliary: head of the auxiliary targets; None where there are none.
        patches: of a window.
        settings: what is left out and changed while training.
        dropout: before the heads.
        precision: of fusion; pooling, heads and losses are always float32.
    """

    def __init__(
        self,
        fusion: Fusion,
        pooling: Pooling,
        head: Head,
        auxiliary: nn.Module | None,
        *,
        patches: int,
        settings: SeriesSettings,
        dropout: float,
        precision: str,
    ) -> None:
        super().__init__()
        self.fusion = fusion
        self.pooling = pooling
        self.head = head
        self.auxiliary = auxiliary
        self.patches = patches
        self.settings = settings
        self.dropout = dropout
        self.precision = precision

    def forward(self, values: Sequence[torch.Tensor], present: torch.Tensor) -> torch.Tensor:
        """Scores, (B, outputs) float32; in training those of auxiliary targets stand behind.

        Args:
            values: (B, T, C) of each modality, standardised; zeros where it is missing.
            present: (B, M) bool; at least one modality a row.
        """
        if self.training:
            values = move_in_time(values, self.settings.shift)
            values = [self._vary(value) for value in values]
            present = drop_modalities(present, self.settings.modality_dropout)
        cut = [
            patch(value * shown[:, None, None], self.patches)
            for value, shown in zip(values, present.unbind(dim=1), strict=True)
        ]
        half = self.precision == "bfloat16"
        with torch.autocast(present.device.type, torch.bfloat16, enabled=half):
            tokens, mask = self.fusion(cut, present)
        vectors = self.pooling(tokens.float(), mask)
        vectors = functional.dropout(vectors, self.dropout, self.training)
        scores: torch.Tensor = self.head(vectors)
        if self.training and self.auxiliary is not None:
            return torch.cat([scores, self.auxiliary(vectors)], dim=1)
        return scores

    def _vary(self, value: torch.Tensor) -> torch.Tensor:
        if self.settings.scaling:
            factors = torch.randn(len(value), 1, 1, device=value.device)
            value = value * (1 + self.settings.scaling * factors)
        if self.settings.jitter:
            value = value + self.settings.jitter * torch.randn_like(value)
        return value


def drop_modalities(present: torch.Tensor, chance: float) -> torch.Tensor:
    """Which modalities stay, (B, M) bool: each goes with that chance, but never the last one.

    Draws from torch's global generator; a chance of 0 draws nothing.

    >>> bool(drop_modalities(torch.ones(50, 3).bool(), 0.99).any(dim=1).all())
    True
    """
    if not chance:
        return present
    drawn = torch.rand(present.shape, device=present.device)
    luck = torch.where(present, drawn, -1.0)
    luckiest = luck == luck.amax(dim=1, keepdim=True)
    return present & ((drawn >= chance) | luckiest)


def move_in_time(values: Sequence[torch.Tensor], share: float) -> Sequence[torch.Tensor]:
    """Windows moved back or forth, (B, T, C) of each modality; their ends fill what is uncovered.

    How far is uniform for each window up to a share of its length, and the same moment for
    modalities of different T. Draws from torch's global generator; a share of 0 draws nothing.
    """
    if not share:
        return values
    moved = share * (2 * torch.rand(len(values[0]), 1, device=values[0].device) - 1)
    found = []
    for value in values:
        steps = value.shape[1]
        places = torch.arange(steps, device=value.device) + (moved * steps).round().long()
        places = places.clamp(0, steps - 1)
        found.append(value.gather(1, places[:, :, None].expand_as(value)))
    return found


def patch(values: torch.Tensor, count: int) -> torch.Tensor:
    """Windows cut into patches, (B, T, C) → (B, count, L * C); zeros fill up the first one.

    >>> patch(torch.arange(1.0, 6.0).view(1, 5, 1), 2).tolist()
    [[[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]]
    """
    rows, steps, channels = values.shape
    length = -(-steps // count)
    padded = functional.pad(values, (0, 0, length * count - steps, 0))
    return padded.reshape(rows, count, length * channels)


def build_window_model(
    config: TrialConfig,
    shapes: Sequence[Shape],
    *,
    outputs: int,
    auxiliary: int,
    precision: str,
) -> WindowClassifier:
    """The model of a configuration; all weights come from torch's global generator.

    Args:
        config: names architecture, pooling, head and what is left out.
        shapes: steps and channels of each modality.
        outputs: scores for a window.
        auxiliary: scores for the auxiliary targets; 0 where there are none.
        precision: ``float32`` or ``bfloat16``.

    Raises:
        FixSpec: a component or option that does not exist.
    """
    settings = settings_of(config)
    dropout = 0.1 if settings.dropout is None else settings.dropout
    shape: Architecture = choose(architectures.registry, config, "backbone", "transformer")
    fusion = shape.make(shapes, dropout)
    pooling: Pooling = choose(poolings.registry, config, "pooling", "mean")
    head: Head = choose(heads.registry, config, "head", "linear")
    width = pooling.build(shape.width)
    head.build(width, outputs)
    return WindowClassifier(
        fusion,
        pooling,
        head,
        nn.Linear(width, auxiliary) if auxiliary else None,
        patches=shape.patches(shapes),
        settings=series_settings_of(config),
        dropout=dropout,
        precision=precision,
    )
