"""Positions: how a transformer over patches knows which comes first."""

from __future__ import annotations

from toprung.core.registry import Registry
from toprung.learn.positions._base import Position

registry: Registry[Position] = Registry(__name__, Position)  # type: ignore[type-abstract]
