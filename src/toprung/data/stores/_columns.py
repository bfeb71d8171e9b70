"""Rows from the splits of a data set of the library datasets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa

from toprung.data.rows import Broken, Columns, Row, class_name, missing_columns
from toprung.data.source import DataSource
from toprung.data.stores._base import Part

_NAMES = ("train",), ("validation", "valid", "val", "dev"), ("test",)


def parts_of(splits: Mapping[str, Any], shown: str, source: DataSource) -> list[Part]:
    """The parts of train, validation and test, whichever there are.

    A split of which every label is hidden (-1), as public test sets have it, is left out.
    """
    columns = Columns(source.text, source.label, source.references)
    found: list[Part] = []
    for names in _NAMES:
        name = next((name for name in names if name in splits), None)
        if name is not None and not _is_hidden(splits[name], columns.label):
            rows = _rows(splits[name], columns)
            found.append(Part(names[0], f"{shown}/{name}", rows))
    return found


def _class_names(rows: Any, column: str) -> list[str] | None:
    names = getattr(rows.features.get(column), "names", None)
    return None if names is None else [str(name) for name in names]


def _is_hidden(rows: Any, column: str) -> bool:
    if _class_names(rows, column) is None or not len(rows):
        return False
    labels = rows.with_format("arrow").select_columns([column])[:].column(column).to_pylist()
    return all(label is None or label < 0 for label in labels)


def _rows(rows: Any, columns: Columns) -> Iterator[Row]:
    missing = missing_columns(rows.column_names, columns)
    if missing:
        raise Broken(None, *missing)
    if not len(rows):
        raise Broken(None, "the split is empty. Add rows.")
    names = _class_names(rows, columns.label)
    many = columns.references if columns.references in rows.column_names else None
    chosen = [columns.text, columns.label, *([many] if many else [])]
    # As they lie there: other formats open what a column of pictures or sounds names.
    plain = rows.with_format("arrow").select_columns(chosen)
    for start in range(0, len(plain), 1000):
        try:
            batch = plain[start : start + 1000]
            texts, labels = (batch.column(name).to_pylist() for name in chosen[:2])
            several = batch.column(many).to_pylist() if many else labels
        except (pa.ArrowException, ValueError, LookupError, TypeError, OverflowError) as error:
            said = (str(error).splitlines() or [type(error).__name__])[0][:300]
            raise Broken(start + 1, f"the rows cannot be read: {said}. Save them again.") from error
        labels = [m or one for m, one in zip(several, labels, strict=True)] if many else labels
        pairs = zip(texts, labels, strict=True)
        for number, (text, label) in enumerate(pairs, start + 1):
            yield Row(number, text, class_name(label, names))
