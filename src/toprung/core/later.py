"""Modules that are imported when first used, for what only some commands need."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any


class _Later(ModuleType):
    """Stands for a module; the first look at a name in it imports it."""

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib.import_module(self.__name__), name)


def later(name: str) -> Any:
    """A module that costs nothing until it is used.

    torch, transformers, scikit-learn and matplotlib take seconds to import. What stands on the
    way to every command reaches for them, and for what is built on them, through this, so that
    ``toprung board`` waits for none of them.

    >>> fractions = later("fractions")
    >>> fractions.Fraction(2, 4)
    Fraction(1, 2)
    """
    return _Later(name)
