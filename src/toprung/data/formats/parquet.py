"""Parquet files; class names that datasets stored in them are used."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from toprung.data.formats._base import Format
from toprung.data.rows import Broken, Columns, Row, class_name, missing_columns

_FREE_ROWS, _ROWS_A_BYTE = 1_000_000, 1


class Parquet(Format):
    """One row a row, counted from 1; batches of 1,000 rows are in memory at a time."""

    def read(self, file: IO[bytes], columns: Columns) -> Iterator[Row]:
        if file.read(4) != b"PAR1":
            raise Broken(None, "not a Parquet file: it does not start with PAR1. Check its name.")
        file.seek(0)
        number = 0
        try:
            opened = pq.ParquetFile(file)
            _refuse_bomb(opened.metadata.num_rows, file)
            missing = missing_columns(opened.schema_arrow.names, columns)
            if missing:
                raise Broken(None, *missing)
            names = _class_names(opened.schema_arrow.metadata, columns.label)
            many = columns.references if columns.references in opened.schema_arrow.names else None
            chosen = [columns.text, columns.label, *([many] if many else [])]
            for batch in opened.iter_batches(batch_size=1000, columns=chosen):
                texts = batch.column(columns.text).to_pylist()
                labels = batch.column(columns.label).to_pylist()
                if many:
                    several = batch.column(many).to_pylist()
                    labels = [m or one for m, one in zip(several, labels, strict=True)]
                for text, label in zip(texts, labels, strict=True):
                    number += 1
                    yield Row(number, text, class_name(label, names))
        # Broken is no such error; of values that no Python object can be, Arrow raises plain ones.
        except (pa.ArrowException, ValueError, LookupError, TypeError, OverflowError) as error:
            said = (str(error).splitlines() or [type(error).__name__])[0][:300]
            text = f"the Parquet file is damaged: {said}. Copy or write it again."
            raise Broken(number + 1 if number else None, text) from error


def _class_names(metadata: dict[bytes, bytes] | None, column: str) -> list[str] | None:
    try:
        stored: Any = json.loads((metadata or {})[b"huggingface"])
        return [str(name) for name in stored["info"]["features"][column]["names"]]
    except (KeyError, ValueError, TypeError, RecursionError):
        return None


def _refuse_bomb(rows: int, file: IO[bytes]) -> None:
    """Refuses a file of far more rows than bytes: one value repeated takes next to none."""
    size = file.seek(0, 2)
    if rows > max(_FREE_ROWS, _ROWS_A_BYTE * size):
        raise Broken(
            None,
            f"{rows:,} rows in {size:,} bytes: nearly all of them must be equal. Write each once.",
        )
