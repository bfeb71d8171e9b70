"""A JSON array of objects, or one object a line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

from toprung.data.formats._base import Format
from toprung.data.formats._objects import read_json
from toprung.data.rows import Columns, Row


class Json(Format):
    """One object a row; which of the two it is shows in the first character."""

    def read(self, file: IO[bytes], columns: Columns) -> Iterator[Row]:
        return read_json(file, columns)
