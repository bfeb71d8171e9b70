"""Schedules: the learning rate over the share of the largest resource."""

from __future__ import annotations

from toprung.core.registry import Registry
from toprung.learn.schedules._base import Schedule

registry: Registry[Schedule] = Registry(__name__, Schedule)  # type: ignore[type-abstract]
