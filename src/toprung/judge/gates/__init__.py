"""Conditions that a gate between two phases asks about; one a file."""

from __future__ import annotations

from toprung.core.registry import Registry
from toprung.judge.gates._base import Condition

registry = Registry(__name__, Condition)  # type: ignore[type-abstract]
