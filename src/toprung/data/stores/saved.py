"""A folder that ``save_to_disk`` of the library datasets wrote."""

from __future__ import annotations

import datasets
import pyarrow as pa

from toprung.core.errors import FixData, Problem
from toprung.data.source import DataSource
from toprung.data.stores._base import Part, Store
from toprung.data.stores._columns import parts_of
from toprung.data.stores.files import shown


class Saved(Store):
    """A saved DatasetDict, or a saved Dataset, which is train alone."""

    def parts(self, source: DataSource) -> list[Part]:
        folder = source.locate(source.path or ".")
        name = shown(folder)
        try:
            loaded = datasets.load_from_disk(str(folder))
        except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
            said = (str(error).splitlines() or [type(error).__name__])[0]
            text = f"the saved data set cannot be read: {said}. Save it again."
            raise FixData("data.path", [Problem(name, text)]) from error
        splits = loaded if isinstance(loaded, datasets.DatasetDict) else {"train": loaded}
        if "train" not in splits:
            text = f"no split train. Known: {', '.join(map(str, splits))}."
            raise FixData("data.path", [Problem(name, text)])
        return parts_of({str(key): value for key, value in splits.items()}, name, source)
