"""A file for train, and maybe one for validation and one for test."""

from __future__ import annotations

import os
from pathlib import Path

from toprung.data.read import read_rows
from toprung.data.rows import Columns
from toprung.data.source import DataSource
from toprung.data.stores._base import Part, Store


class Files(Store):
    """The files that the source names."""

    def parts(self, source: DataSource) -> list[Part]:
        columns = Columns(source.text, source.label, source.references)
        found: list[Part] = []
        for split in ("train", "validation", "test"):
            name = getattr(source, split)
            if name:
                path = source.locate(name)
                found.append(Part(split, shown(path), read_rows(path, columns)))
        return found


def shown(path: Path) -> str:
    """A path as people read it: relative where it lies below the working directory."""
    near = os.path.relpath(path)
    return str(path) if near.startswith("..") else near
