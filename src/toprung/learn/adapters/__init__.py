"""Adapters: which weights of the encoder are trained."""

from __future__ import annotations

from toprung.core.registry import Registry
from toprung.learn.adapters._base import Adapter

registry: Registry[Adapter] = Registry(__name__, Adapter)  # type: ignore[type-abstract]
