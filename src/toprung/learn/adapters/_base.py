"""The contract of an adapter."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

Encoder = Any
"""An ``Encoder`` of ``learn.backbone.encoder``; importing that takes seconds, a spec's adapter
needs none of it."""


class Adapter(ABC):
    """Which weights of the encoder are trained."""

    @abstractmethod
    def apply(self, encoder: Encoder) -> None:
        """Makes weights of the encoder trainable, or adds ones; all others stay frozen.

        Args:
            encoder: fresh, with nothing trainable; changed in place.

        Raises:
            FixSpec: the backbone does not have what the adapter needs.
        """
