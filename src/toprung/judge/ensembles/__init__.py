"""Ensemble methods: from predictions on the selection split to weights; one method a file."""

from __future__ import annotations

from toprung.core.registry import Registry
from toprung.judge.ensembles._base import Ensemble

registry = Registry(__name__, Ensemble)  # type: ignore[type-abstract]
