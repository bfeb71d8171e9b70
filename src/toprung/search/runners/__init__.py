"""Runners, one a file: where trials train."""

from __future__ import annotations

from toprung.core.registry import Registry
from toprung.search.runners._base import Runner

registry = Registry(__name__, Runner)  # type: ignore[type-abstract]
