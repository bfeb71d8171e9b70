"""Exporters: a saved ensemble in the formats of others; one a file."""

from __future__ import annotations

from toprung.core.registry import Registry
from toprung.ship.exporters._base import Exporter

registry: Registry[Exporter] = Registry(__name__, Exporter)  # type: ignore[type-abstract]
