"""Versions and machine of a search, for whoever wants to have it again."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from typing import Any

from toprung.core.later import later

device = later("toprung.learn.device")

PACKAGES = (
    "torch", "ray", "transformers", "peft", "optuna", "datasets", "scikit-learn", "tensorboard",
    "rouge_score",
)  # fmt: skip


def environment(simulated: bool = False) -> dict[str, Any]:
    """Versions and machine, as they stand in ``environment.json``.

    Args:
        simulated: whether nothing is trained: then nobody counts graphics cards.
    """
    return {
        "toprung": version("toprung"),
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "cpus": os.cpu_count(),
        "memory_gib": round(_memory_bytes() / 2**30, 1),
        **({} if simulated else {"gpus": device.count_cards()}),
        "packages": {name: version(name) for name in PACKAGES},
    }


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
