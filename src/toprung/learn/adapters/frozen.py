"""No weights of the encoder."""

from __future__ import annotations

from dataclasses import dataclass

from toprung.learn.adapters._base import Adapter, Encoder


@dataclass(frozen=True)
class Frozen(Adapter):
    """Only pooling and head are trained; the encoder runs without dropout."""

    def apply(self, encoder: Encoder) -> None:
        encoder.requires_grad_(False)
