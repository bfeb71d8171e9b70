"""Rows from JSON: one object a line, or one array of objects."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import chain
from typing import IO, Any

from toprung.data.formats._lines import Line, decode
from toprung.data.rows import Broken, Columns, Row, missing_columns, show

_SPACE = " \t\r\n"
_LARGEST_ARRAY = 1 << 28


def read_json(file: IO[bytes], columns: Columns) -> Iterator[Row]:
    """Rows of JSON Lines, or of a JSON array where the first character is a bracket."""
    lines = decode(file)
    head: list[Line] = []
    for line in lines:
        head.append(line)
        if line.text.strip():
            break
    is_array = bool(head) and head[-1].text.lstrip().startswith("[")
    everything = chain(head, lines)
    yield from _read_array(everything, columns) if is_array else _read_lines(everything, columns)


def _read_lines(lines: Iterator[Line], columns: Columns) -> Iterator[Row]:
    first = True
    for number, text, problem in lines:
        if not text.strip():
            if problem:
                yield Row(number, problem=problem)
            continue
        if problem:
            yield Row(number, problem=problem)
        else:
            try:
                value = json.loads(text)
            except (ValueError, RecursionError) as error:
                if first and not text.lstrip().startswith("{"):
                    raise Broken(number, _not_json(text, error), _other_format(text)) from error
                yield Row(number, problem=_not_json(text, error))
            else:
                yield _row(number, value, columns, first)
        first = False


def _read_array(lines: Iterator[Line], columns: Columns) -> Iterator[Row]:
    pieces: list[str] = []
    size = 0
    for line in lines:
        if line.problem:
            raise Broken(line.number, line.problem)
        pieces.append(line.text)
        size += len(line.text)
        if size > _LARGEST_ARRAY:
            text = f"an array of more than {_LARGEST_ARRAY >> 20} MiB has to be read as a whole."
            raise Broken(line.number, f"{text} Write the rows as JSON Lines, one object a line.")
    text = "".join(pieces)
    del pieces
    decoder = json.JSONDecoder()
    at = counted = _skip_space(text, text.index("[") + 1)
    number, first = 1 + text.count("\n", 0, at), True
    while not (first and text[at : at + 1] == "]"):
        try:
            value, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            if isinstance(error, json.JSONDecodeError):
                number = error.lineno
            raise Broken(number, _not_json(text[at : at + 200], error)) from error
        yield _row(number, value, columns, first)
        first = False
        at = _skip_space(text, end)
        if text[at : at + 1] == "]":
            break
        if text[at : at + 1] == ",":
            at = _skip_space(text, at + 1)
        else:
            raise _at(text, at, "not JSON: a comma or ']' is missing before")
        number, counted = number + text.count("\n", counted, at), at
    rest = _skip_space(text, at + 1)
    if rest < len(text):
        raise _at(text, rest, "not JSON: behind the end of the array follows")


def _at(text: str, at: int, said: str) -> Broken:
    found = show(text[at : at + 20]) if at < len(text) else "the end of the file"
    return Broken(1 + text.count("\n", 0, at), f"{said} {found}. Correct it.")


def _skip_space(text: str, at: int) -> int:
    while at < len(text) and text[at] in _SPACE:
        at += 1
    return at


def _row(line: int, value: Any, columns: Columns, first: bool) -> Row:
    if not isinstance(value, dict):
        kind = "a list" if isinstance(value, list) else f"{show(value, 30)}"
        text = f"a row is an object with '{columns.text}' and '{columns.label}', not {kind}."
        return Row(line, problem=text)
    many = value.get(columns.references) if columns.references else None
    try:
        return Row(line, value[columns.text], value[columns.label] if many is None else many)
    except KeyError:
        missing = missing_columns(list(value), columns)
        if first:
            raise Broken(line, *missing) from None
        return Row(line, problem=" ".join(missing))


def _not_json(text: str, error: ValueError | RecursionError) -> str:
    if isinstance(error, json.JSONDecodeError):
        said = f"{error.msg.removesuffix(' at')} at column {error.colno}"
    else:
        said = "nested too deeply" if isinstance(error, RecursionError) else str(error)
    return f"not JSON: {said}: {show(text.strip())}. Correct the line."


def _other_format(text: str) -> str:
    if "\t" in text:
        return "the file looks like TSV. Rename it to end in .tsv."
    if "," in text:
        return "the file looks like CSV. Rename it to end in .csv."
    return 'a row is written {"text": "…", "label": "…"}.'
