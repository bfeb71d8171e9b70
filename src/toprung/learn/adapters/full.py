"""All weights of the encoder."""

from __future__ import annotations

from dataclasses import dataclass

from toprung.learn.adapters._base import Adapter, Encoder


@dataclass(frozen=True)
class Full(Adapter):
    """All weights of the encoder are trained, embeddings too."""

    def apply(self, encoder: Encoder) -> None:
        encoder.own(encoder.model)
