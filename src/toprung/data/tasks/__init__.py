"""Tasks: what a model answers, and which losses and metrics fit; one a file."""

from __future__ import annotations

from toprung.core.registry import Registry
from toprung.data.tasks._base import Task

registry: Registry[Task] = Registry(__name__, Task)  # type: ignore[type-abstract]
