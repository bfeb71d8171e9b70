"""A folder with files named train, validation and test, whole or in numbered pieces."""

from __future__ import annotations

import re
from pathlib import Path

from toprung.core.errors import FixData, Problem
from toprung.data.read import extensions, format_of, read_rows
from toprung.data.rows import Columns
from toprung.data.source import DataSource
from toprung.data.stores._base import Part, Store
from toprung.data.stores.files import shown

_NAMES = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
}
_PIECE = re.compile(r"(?P<name>[a-z]+)(-\d+-of-\d+)?\.", re.IGNORECASE)


class Folder(Store):
    """The files of a folder, found by their names."""

    def parts(self, source: DataSource) -> list[Part]:
        folder = source.locate(source.path or ".")
        files = sorted(child for child in folder.iterdir() if format_of(child))
        found: dict[str, list[Path]] = {"train": [], "validation": [], "test": []}
        for file in files:
            match = _PIECE.match(file.name)
            split = _NAMES.get(match["name"].lower()) if match else None
            if split:
                found[split].append(file)
        problems = [
            Problem(shown(folder), f"several files for {split}: {names}. Keep one of them.")
            for split, several in found.items()
            if len(several) > 1 and not all("-of-" in file.name for file in several)
            for names in [", ".join(file.name for file in several)]
        ]
        if not found["train"]:
            had = ", ".join(child.name for child in sorted(folder.iterdir())[:20]) or "nothing"
            text = f"no file for train; it holds {had}. Name one train with an ending of "
            problems.append(Problem(shown(folder), f"{text}{', '.join(extensions())}."))
        if problems:
            raise FixData("data.path", problems)
        columns = Columns(source.text, source.label, source.references)
        return [
            Part(split, shown(file), read_rows(file, columns))
            for split, several in found.items()
            for file in several
        ]
