"""What a measurement ran on: processor, memory, versions."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version

import psutil

PACKAGES = ("torch", "transformers", "peft", "accelerate", "ray", "optuna", "numpy")


def machine() -> dict[str, str]:
    """What the measurement ran on."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    versions = ", ".join(f"{package} {number}" for package, number in found.items())
    memory = psutil.virtual_memory().total / 2**30
    return {
        "cpu": f"{_cpu_model()}, {os.cpu_count()} cores, {memory:.0f} GiB",
        "versions": f"Python {platform.python_version()}, {versions}",
    }


def _cpu_model() -> str:
    facts: dict[str, str] = {}
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        for line in lines:
            name, _, value = line.partition(":")
            facts.setdefault(name.strip(), value.strip())
    name = facts.get("model name", platform.machine())
    family = f"family {facts.get('cpu family', '?')} model {facts.get('model', '?')}"
    wide = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
            if flag in facts.get("flags", "").split()]  # fmt: skip
    return f"{name} ({family}; {' '.join(wide)})"
