"""Tab-separated values under a header, quoted as in CSV."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

from toprung.data.formats._base import Format
from toprung.data.formats._cells import read_cells
from toprung.data.rows import Columns, Row


class Tsv(Format):
    """One row a record; cells parted by tabs."""

    def read(self, file: IO[bytes], columns: Columns) -> Iterator[Row]:
        return read_cells(file, columns, "\t")
