"""Baselines: what a search must beat to be worth its cost; one a file."""

from __future__ import annotations

from toprung.core.registry import Registry
from toprung.judge.baselines._base import Baseline

registry = Registry(__name__, Baseline)  # type: ignore[type-abstract]
