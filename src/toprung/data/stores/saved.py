"""A folder that ``save_to_disk`` of the library datasets wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import datasets

from toprung.core.errors import FixData, Problem
from toprung.core.files import inside, read_json
from toprung.data.source import DataSource
from toprung.data.stores._base import Part, Store
from toprung.data.stores._columns import parts_of
from toprung.data.stores.files import shown


class Saved(Store):
    """A saved DatasetDict, or a saved Dataset, which is train alone."""

    def parts(self, source: DataSource) -> list[Part]:
        folder = source.locate(source.path or ".")
        name = shown(folder)
        _check_names(folder, name)
        try:
            loaded = datasets.load_from_disk(str(folder))
        # What the library raises over foreign files may be anything.
        except Exception as error:
            said = (str(error).splitlines() or [type(error).__name__])[0][:300]
            text = f"the saved data set cannot be read: {said}. Save it again."
            raise FixData("data.path", [Problem(name, text)]) from error
        splits = loaded if isinstance(loaded, datasets.DatasetDict) else {"train": loaded}
        if "train" not in splits:
            text = f"no split train. Known: {', '.join(map(str, splits))}."
            raise FixData("data.path", [Problem(name, text)])
        return parts_of({str(key): value for key, value in splits.items()}, name, source)


def _check_names(folder: Path, shown_as: str) -> None:
    """Refuses a folder whose lists name splits or files elsewhere.

    Raises:
        FixData: a list cannot be read, or names what is no file below its folder.
    """
    try:
        splits = [folder]
        if (folder / "dataset_dict.json").is_file():
            said = read_json(folder / "dataset_dict.json")
            splits = [_below(folder, name) for name in said["splits"]]
        for split in splits:
            for file in read_json(split / "state.json")["_data_files"]:
                _below(split, file["filename"])
    except (OSError, ValueError, LookupError, TypeError) as error:
        said = (str(error).splitlines() or [type(error).__name__])[0][:300]
        text = f"the saved data set cannot be read: {said}. Save it again."
        raise FixData("data.path", [Problem(shown_as, text)]) from error


def _below(folder: Path, name: Any) -> Path:
    if not isinstance(name, str) or len(Path(name).parts) != 1 or ":" in name:
        raise ValueError(f"{str(name)[:60]!r} is not the name of a file beside it")
    return inside(folder, name)
