"""A folder as a registry: one component a file, found by its file name."""

from __future__ import annotations

import difflib
import importlib
import inspect
import pkgutil
from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar

T = TypeVar("T")
_LONGEST = 100


def nearest(name: str, known: Sequence[str]) -> str:
    """A hint with the nearest known name and all of them.

    >>> nearest("mena", ["cls", "mean"])
    "Did you mean 'mean'? Known: cls, mean."
    >>> nearest("zzz", ["cls", "mean"])
    'Known: cls, mean.'
    """
    # Comparing takes as long as both lengths multiplied: what is no name is compared with nothing.
    names = [one for one in known if len(one) <= _LONGEST] if len(str(name)) <= _LONGEST else []
    close = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
    hint = f"Did you mean '{close[0]}'? " if close else ""
    return f"{hint}Known: {', '.join(known)}."


class Registry(Generic[T]):
    """The components of a package folder, by file name; imports one only when asked for it.

    A module whose name starts with an underscore is not a component. Each component's module
    defines exactly one subclass of ``base``.
    """

    def __init__(self, package: str, base: type[T]) -> None:
        self.package = package
        self.base = base
        self.kind = package.rpartition(".")[2]

    def names(self) -> list[str]:
        """Every component's name, sorted; nothing is imported but the folder itself."""
        folder = importlib.import_module(self.package)
        found = pkgutil.iter_modules(folder.__path__)
        return sorted(module.name for module in found if not module.name.startswith("_"))

    def get(self, name: str) -> type[T]:
        """The one subclass of the base that the component's file defines.

        Raises:
            KeyError: no file of that name, with the nearest name and all known ones.
            TypeError: the file defines none or several; a bug of the component.
        """
        if name not in self.names():
            raise KeyError(f"no {self.kind} '{name}'. {nearest(name, self.names())}")
        module = importlib.import_module(f"{self.package}.{name}")
        found = [
            member
            for _, member in inspect.getmembers(module, inspect.isclass)
            if issubclass(member, self.base)
            and member.__module__ == module.__name__
            and not member.__name__.startswith("_")
        ]
        if len(found) != 1:
            raise TypeError(f"{module.__name__} defines {len(found)} {self.base.__name__}s, not 1")
        return found[0]

    def make(self, name: str, options: Mapping[str, Any]) -> T:
        """A component with its options, which are its constructor's keywords.

        Raises:
            KeyError: no component of that name.
            TypeError, ValueError: the options do not fit; a spec's options have been checked.
        """
        return self.get(name)(**options)
