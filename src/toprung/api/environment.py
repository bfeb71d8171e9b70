"""Versions and machine of a search, for whoever wants to have it again."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from typing import Any

PACKAGES = (
    "torch", "ray", "transformers", "peft", "optuna", "datasets", "scikit-learn", "tensorboard",
    "rouge_score",
)  # fmt: skip


def environment() -> dict[str, Any]:
    """Versions and machine, as they stand in ``environment.json``."""
    return {
        "toprung": version("toprung"),
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "cpus": os.cpu_count(),
        "memory_gib": round(_memory_bytes() / 2**30, 1),
        "packages": {name: version(name) for name in PACKAGES},
    }


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
