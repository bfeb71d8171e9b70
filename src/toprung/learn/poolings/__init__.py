"""Poolings: from token vectors to one vector a text."""

from __future__ import annotations

from toprung.core.registry import Registry
from toprung.learn.poolings._base import Pooling

registry: Registry[Pooling] = Registry(__name__, Pooling)  # type: ignore[type-abstract]
