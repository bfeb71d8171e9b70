"""Heads: from a text's vector to a score for each label."""

from __future__ import annotations

from toprung.core.registry import Registry
from toprung.learn.heads._base import Head

registry: Registry[Head] = Registry(__name__, Head)  # type: ignore[type-abstract]
