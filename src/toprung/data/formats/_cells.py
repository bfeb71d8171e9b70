"""Rows from cells with a separator, under a header; quoted as in CSV."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import IO

from toprung.data.formats._lines import LONGEST_LINE, decode
from toprung.data.rows import Broken, Columns, Row, missing_columns, show


def read_cells(file: IO[bytes], columns: Columns, separator: str) -> Iterator[Row]:
    """The rows below the header, each under the line that it starts in."""
    bad: dict[int, str] = {}

    def texts() -> Iterator[str]:
        for number, text, problem in decode(file):
            if problem:
                bad[number] = problem
            yield text

    csv.field_size_limit(LONGEST_LINE)  # the module's own limit refuses a text of 128 KiB
    reader = csv.reader(texts(), delimiter=separator, strict=True)
    header: list[str] | None = None
    place = (0, 0)
    while True:
        start = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise Broken(start, _syntax(error, start, reader.line_num)) from error
        if cells is None:
            break
        problem = _first(bad, start, reader.line_num)
        if header is None and any(map(str.strip, cells)):
            if problem:
                raise Broken(start, problem)
            header = [cell.strip() for cell in cells]
            place = _places(header, columns, separator, start)
        elif header and (cells or problem):
            yield _row(start, cells, place, problem or _width(cells, header, separator))


def _first(bad: dict[int, str], start: int, end: int) -> str | None:
    return next((bad[line] for line in range(start, end + 1) if line in bad), None) if bad else None


def _row(line: int, cells: list[str], place: tuple[int, int], problem: str | None) -> Row:
    if problem:
        return Row(line, problem=problem)
    return Row(line, cells[place[0]], cells[place[1]])


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
    for name in (columns.text, columns.label):
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
    if "field limit" in said:
        return (
            f"a cell of more than {LONGEST_LINE >> 20} MiB; a quote opens in this row and may "
            'never close. Close it, or double a quote inside of a cell ("").'
        )
    until = f" (read up to line {end})" if end > start else ""
    return (
        f"{said}{until}: a quote stands where none may. "
        'Put the whole cell in quotes and double those inside ("").'
    )


def _width(cells: list[str], header: list[str], separator: str) -> str | None:
    if len(cells) == len(header):
        return None
    name = "comma" if separator == "," else "tab"
    step = f"Put a cell that holds a {name} in quotes." if len(cells) > len(header) else ""
    said = f"{len(cells)} cells where the header has {len(header)}: {show(separator.join(cells))}."
    return f"{said} {step}".strip()
