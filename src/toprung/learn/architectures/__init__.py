"""Architectures: models that start from nothing, their whole shape in the space."""

from __future__ import annotations

from toprung.core.registry import Registry
from toprung.learn.architectures._base import Architecture

registry: Registry[Architecture] = Registry(__name__, Architecture)  # type: ignore[type-abstract]
