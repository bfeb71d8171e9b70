"""A corpus that ships in the package and is generated, the same for the same options."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from toprung.core.errors import FixData, Problem
from toprung.data.corpora import registry
from toprung.data.rows import Row
from toprung.data.source import DataSource
from toprung.data.stores._base import Part, Store


class Embedded(Store):
    """The rows of an embedded corpus; the source's column names do not matter."""

    def parts(self, source: DataSource) -> list[Part]:
        name = source.corpus or ""
        try:
            corpus = registry.get(name)(**source.corpus_options)
        except KeyError as error:
            raise FixData("data.corpus", [Problem(name, str(error.args[0]))]) from error
        except (TypeError, ValueError) as error:
            raise FixData("data.corpus_options", [Problem(name, str(error))]) from error
        return [
            Part(split, f"{name}/{split}", _rows(rows)) for split, rows in corpus.splits().items()
        ]


def _rows(rows: Sequence[tuple[str, str]]) -> Iterator[Row]:
    for number, (text, label) in enumerate(rows, 1):
        yield Row(number, text, label)
