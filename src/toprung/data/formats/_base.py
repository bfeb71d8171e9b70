"""What every format of rows does: bytes in, rows with their lines out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

from toprung.data.rows import Columns, Row


class Format:
    """Reads the rows of an open file."""

    def read(self, file: IO[bytes], columns: Columns) -> Iterator[Row]:
        """The rows in order, one at a time; one that is bad carries its problem.

        Raises:
            Broken: nothing behind this point can be read.
        """
        raise NotImplementedError
