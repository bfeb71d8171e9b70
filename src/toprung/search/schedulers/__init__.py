"""Schedulers, one a file: who trains on after a report."""

from __future__ import annotations

from toprung.core.registry import Registry
from toprung.search.schedulers._base import Scheduler

registry = Registry(__name__, Scheduler)  # type: ignore[type-abstract]
