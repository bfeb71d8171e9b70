"""Searchers, one a file: which configuration is tried next."""

from __future__ import annotations

from toprung.core.registry import Registry
from toprung.search.searchers._base import Searcher

registry = Registry(__name__, Searcher)  # type: ignore[type-abstract]
