"""Finds the YAML of a search or a card: a path, the checkout, then the package."""

from __future__ import annotations

import os
import re
from importlib.resources import files
from pathlib import Path

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\Z")
_SUFFIXES = (".yaml", ".yml")


def find_catalogue_file(kind: str, name: str) -> Path | None:
    """The file of a catalogue entry, or None where there is none.

    A name that ends in ``.yaml`` or holds a slash is a path; any other is looked up in the
    checkout's folder, then in the copy that ships in the package.

    Args:
        kind: the catalogue: ``search`` or ``models``.
        name: an entry's name, or a path.

    >>> find_catalogue_file("search", "../../etc/passwd") is None
    True
    """
    if name.endswith(_SUFFIXES) or "/" in name:
        path = os.path.expanduser(name)  # unlike Path's, these two never raise on odd names
        return Path(path) if path.endswith(_SUFFIXES) and os.path.isfile(path) else None
    if not _NAME.match(name):
        return None
    found = (folder / f"{name}.yaml" for folder in _folders(kind))
    return next((path for path in found if os.path.isfile(path)), None)


def catalogue_names(kind: str) -> list[str]:
    """Every entry's name in the checkout and the package, sorted."""
    return sorted({path.stem for folder in _folders(kind) for path in folder.glob("*.yaml")})


def _folders(kind: str) -> list[Path]:
    package = Path(str(files("toprung")))
    folders = [package / "catalogue" / kind]
    if package.parent.name == "src":  # a checkout: src/toprung beside search/ and models/
        folders.insert(0, package.parent.parent / kind)
    return folders
