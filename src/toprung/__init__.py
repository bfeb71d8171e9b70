"""Distributed hyperparameter search for fine-tuning transformers."""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"
__all__ = ["Ensemble", "Search", "__version__"]


def __getattr__(name: str) -> Any:
    """``Search`` and ``Ensemble``, imported when first asked for: torch takes seconds."""
    if name in ("Search", "Ensemble"):
        return getattr(importlib.import_module("toprung.api"), name)
    raise AttributeError(f"module 'toprung' has no attribute '{name}'")
