"""One function per stage, and ``Search``: what scripts and notebooks use."""

from __future__ import annotations

from toprung.api.search import Search
from toprung.ship.predictor import Ensemble

__all__ = ["Ensemble", "Search"]
