"""What every store of rows does: a source in, the parts of its splits out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from toprung.data.rows import Row
from toprung.data.source import DataSource


class Part(NamedTuple):
    """Rows of one split from one file; a split may have several.

    Attributes:
        split: ``train``, ``validation`` or ``test``.
        file: as it is named to people.
        rows: read as they are asked for.
    """

    split: str
    file: str
    rows: Iterator[Row]


class Store:
    """Finds the rows of a source."""

    def parts(self, source: DataSource) -> list[Part]:
        """The parts of every split that the source has, train first.

        Raises:
            FixData: nothing usable there.
            FixEnvironment: the machine cannot reach it.
        """
        raise NotImplementedError
