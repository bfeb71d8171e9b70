"""Losses: how wrong the scores of each row are."""

from __future__ import annotations

from toprung.core.registry import Registry
from toprung.learn.losses._base import Loss

registry: Registry[Loss] = Registry(__name__, Loss)  # type: ignore[type-abstract]
