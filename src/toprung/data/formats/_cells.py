"""Rows from cells with a separator, under a header; quoted as in CSV."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from typing import IO

from toprung.data.formats._lines import decode
from toprung.data.rows import Broken, Columns, Row, missing_columns, show


def read_cells(file: IO[bytes], columns: Columns, separator: str) -> Iterator[Row]:
    """The rows below the header, each under the line that it starts in."""
    bad: dict[int, str] = {}

    def texts() -> Iterator[str]:
        for number, text, problem in decode(file):
            if problem:
                bad[number] = problem
            yield text

    csv.field_size_limit(sys.maxsize)  # the module's own limit refuses a text of 128 KiB
    reader = csv.reader(texts(), delimiter=separator, strict=True)
    header: list[str] | None = None
    place = (0, 0)
    start = 1
    while True:
        start = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise Broken(start, _syntax(error, start, reader.line_num)) from error
        if cells is None:
            break
        problems = [bad[n] for n in range(start, reader.line_num + 1) if n in bad] if bad else []
        if header is None:
            if cells:
                if problems:
                    raise Broken(start, problems[0])
                header = [cell.strip() for cell in cells]
                place = _places(header, columns, separator, start)
        elif problems:
            yield Row(start, problem=problems[0])
        elif len(cells) == len(header):
            yield Row(start, cells[place[0]], cells[place[1]])
        elif cells:
            yield Row(start, problem=_width(cells, header, separator))


def _places(header: list[str], columns: Columns, separator: str, line: int) -> tuple[int, int]:
    missing = missing_columns(header, columns)
    if missing:
        first = "".join(header[:1])
        if first.startswith(("{", "[")):
            missing = ["the file looks like JSON Lines. Rename it to end in .jsonl."]
        elif len(header) == 1:
            others = [s for s in (",", "\t", ";", "|") if s != separator and s in first]
            names = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "bars"}
            missing += [
                f"the header's cells are parted by {names[s]}, but {names[separator]} are read "
                "here. Save it with commas as .csv, or with tabs as .tsv."
                for s in others[:1]
            ]
        raise Broken(line, *missing)
    for name in columns:
        if header.count(name) > 1:
            raise Broken(line, f"{header.count(name)} columns are named '{name}'. Rename one.")
    return header.index(columns.text), header.index(columns.label)


def _syntax(error: csv.Error, start: int, end: int) -> str:
    said = str(error)
    if "unexpected end" in said:
        return (
            "a quote opens in this row and never closes. "
            'Close it, or double a quote inside of a cell ("").'
        )
    if "new-line character" in said:
        return "lines end in CR alone (old Mac). Convert the file: tr '\\r' '\\n' < OLD > NEW."
    until = f" (read up to line {end})" if end > start else ""
    return (
        f"{said}{until}: a quote stands where none may. "
        'Put the whole cell in quotes and double those inside ("").'
    )


def _width(cells: list[str], header: list[str], separator: str) -> str:
    name = "comma" if separator == "," else "tab"
    step = f"Put a cell that holds a {name} in quotes." if len(cells) > len(header) else ""
    said = f"{len(cells)} cells where the header has {len(header)}: {show(separator.join(cells))}."
    return f"{said} {step}".strip()
