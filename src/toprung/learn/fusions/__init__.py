"""Fusions: where the modalities of a window meet."""

from __future__ import annotations

from toprung.core.registry import Registry
from toprung.learn.fusions._base import Fusion

registry: Registry[Fusion] = Registry(__name__, Fusion)  # type: ignore[type-abstract]
