"""Broken data files: each is told with its place, the value and what to do, and exits with 2."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from toprung.core.errors import FixData
from toprung.data.load import load_dataset
from toprung.data.source import DataSource


def good(rows: int = 40) -> list[dict[str, Any]]:
    return [{"text": f"row number {i} of them", "label": "ab"[i % 2]} for i in range(rows)]


def lines(rows: Sequence[dict[str, Any]]) -> list[str]:
    return [json.dumps(row) for row in rows]


def jsonl(*changes: tuple[int, str]) -> bytes:
    """Forty good rows, of which some lines, from 1, are replaced."""
    found = lines(good())
    for line, text in changes:
        found[line - 1] = text
    return ("\n".join(found) + "\n").encode()


def csv(*changes: tuple[int, str], header: str = "text,label", comma: str = ",") -> bytes:
    found = [header, *(f"{row['text']}{comma}{row['label']}" for row in good())]
    for line, text in changes:
        found[line - 1] = text
    return ("\n".join(found) + "\n").encode()


def parquet(table: dict[str, list[object]]) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table(table), file)
    return file.getvalue()


def row(text: object, label: object) -> str:
    return json.dumps({"text": text, "label": label})


CASES: dict[str, tuple[str, bytes, list[str]]] = {
    "bad JSON": (
        "train.jsonl",
        jsonl((3, '{"text": "a" "label": 1}')),
        ["train.jsonl:3: not JSON: Expecting ',' delimiter at column 14", "Correct the line"],
    ),
    "two bad lines, both told": (
        "train.jsonl",
        jsonl((3, "{"), (9, row("", "a"))),
        ["train.jsonl:3: not JSON", "train.jsonl:9: the text is empty", "has 2 problems"],
    ),
    "a list as a row": (
        "train.jsonl",
        jsonl((2, "[1, 2]")),
        ["train.jsonl:2: a row is an object with 'text' and 'label', not a list"],
    ),
    "CSV named jsonl": (
        "train.jsonl",
        csv(),
        ["train.jsonl:1: not JSON", "looks like CSV. Rename it to end in .csv"],
    ),
    "JSON Lines named csv": (
        "train.csv",
        jsonl(),
        ["train.csv:1", "looks like JSON Lines. Rename it to end in .jsonl"],
    ),
    "an array that breaks off": (
        "train.json",
        b"[\n" + b",\n".join(jsonl().splitlines()),
        ["train.json:41: not JSON", "the end of the file"],
    ),
    "an array without a comma": (
        "train.json",
        b'[\n{"text": "x", "label": "a"}\n{"text": "y", "label": "b"}]',
        ["train.json:3: not JSON: a comma or ']' is missing before '{"],
    ),
    "an unclosed quote": (
        "train.csv",
        csv((5, '"never closed,a')),
        ["train.csv:5: a quote opens in this row and never closes", "double a quote inside"],
    ),
    "a quote inside of a cell": (
        "train.csv",
        csv((5, '"he said "no" to me",a')),
        ["train.csv:5:", "a quote stands where none may"],
    ),
    "too many cells": (
        "train.csv",
        csv((7, "yes, but no,a")),
        ["train.csv:7: 3 cells where the header has 2: 'yes, but no,a'", "in quotes"],
    ),
    "semicolons": (
        "train.csv",
        csv(header="text;label", comma=";"),
        ["train.csv:1: no column 'text'", "parted by semicolons", "Save it with commas"],
    ),
    "a missing column": (
        "train.csv",
        csv(header="text,labell"),
        ["train.csv:1: no column 'label'. Did you mean 'labell'?", "Name it with data.label"],
    ),
    "a missing key": (
        "train.jsonl",
        b'{"txet": "x", "label": "a"}\n' * 9,
        ["train.jsonl:1: no column 'text'. Did you mean 'txet'? Known: txet, label"],
    ),
    "a key missing in one row": (
        "train.jsonl",
        jsonl((8, '{"text": "x"}')),
        ["train.jsonl:8: no column 'label'. Known: text"],
    ),
    "a column missing in Parquet": (
        "train.parquet",
        parquet({"text": ["x"], "lable": ["a"]}),
        ["no column 'label'. Did you mean 'lable'?"],
    ),
    "two columns of one name": (
        "train.csv",
        csv(header="text,label,text"),
        ["train.csv:1: 2 columns are named 'text'. Rename one"],
    ),
    "an empty text": (
        "train.csv",
        csv((4, "  ,a")),
        ["train.csv:4: the text is empty. Fill it in, or delete the row", "on_bad_row: skip"],
    ),
    "a text that is a number": (
        "train.jsonl",
        jsonl((4, row(17, "a"))),
        ["train.jsonl:4: the text is 17, not a string"],
    ),
    "a text that is null": (
        "train.parquet",
        parquet({"text": ["x", None, "z"], "label": ["a", "b", "a"]}),
        ["train.parquet:2: the text is missing (null)"],
    ),
    "a label that is null": (
        "train.jsonl",
        jsonl((6, row("x", None))),
        ["train.jsonl:6: the label is missing (null)"],
    ),
    "a label that is empty": (
        "train.csv",
        csv((6, "some text,")),
        ["train.csv:6: the label is empty. Fill it in"],
    ),
    "a label that is a list": (
        "train.jsonl",
        jsonl((6, row("x", ["a", "b"]))),
        ["train.jsonl:6: the label is ['a', 'b'], a list", "A label is one string"],
    ),
    "a label that is a fraction": (
        "train.jsonl",
        jsonl((6, row("x", 0.25))),
        ["train.jsonl:6: the label is 0.25, a fraction"],
    ),
    "labels of mixed kinds": (
        "train.jsonl",
        jsonl((6, row("x", 3))),
        ["labels mix text (line 1: 'a') and a number (line 6: 3)", "as strings"],
    ),
    "truth values among numbers": (
        "train.jsonl",
        "\n".join([row("x", True), row("y", 1), row("z", True), row("w", 1)]).encode(),
        ["labels mix true or false (line 1: True) and a number (line 2: 1)"],
    ),
    "an empty file": ("train.jsonl", b"", ["the file is empty (0 bytes). Add rows"]),
    "white space alone": ("train.csv", b" \n\n", ["the file is empty. Add rows"]),
    "blank lines alone": ("train.jsonl", b"\n\n\n", ["the file is empty. Add rows"]),
    "an empty array": ("train.json", b"[]", ["no usable row", "Add rows"]),
    "a header alone": ("train.csv", b"text,label\n", ["no usable row", "Add rows"]),
    "one class alone": (
        "train.csv",
        b"text,label\nx,a\ny,a\n",
        ["one class only, 'a' (2 rows)", "at least 2", "data.label"],
    ),
    "a class of one row": (
        "train.csv",
        csv((9, "what a day,bb")),
        ["train.csv:9: class 'bb' has 1 row in train", "Did you mean 'b'?", "on_bad_row: skip"],
    ),
    "UTF-16 with a mark": (
        "train.csv",
        csv().decode().encode("utf-16"),
        ["train.csv:1: the file is UTF-16", "iconv -f UTF-16 -t UTF-8"],
    ),
    "UTF-16 without a mark": (
        "train.jsonl",
        jsonl().decode().encode("utf-16-le"),
        ["train.jsonl:1: the file is UTF-16LE", "iconv -f UTF-16LE -t UTF-8"],
    ),
    "latin-1": (
        "train.csv",
        csv((3, "le café est bon,a")).decode().encode("latin-1"),
        ["train.csv:3: byte 0xe9", "latin-1", "'le café est bon,a'", "iconv -f ISO-8859-1"],
    ),
    "Windows-1252": (
        "train.jsonl",
        jsonl((3, '{"text": "it’s", "label": "a"}')).decode().encode("cp1252"),
        ["train.jsonl:3: byte 0x92", "Windows-1252", "it’s", "iconv -f WINDOWS-1252"],
    ),
    "a NUL byte": (
        "train.csv",
        csv((3, "a\0b,a")),
        ["train.csv:3: a NUL byte (\\x00) at column 2. Remove it"],
    ),
    "an escaped NUL": (
        "train.jsonl",
        jsonl((3, row("a\0b", "a"))),
        ["train.jsonl:3: the text holds a NUL character: 'a\\x00b'"],
    ),
    "half of a surrogate pair": (
        "train.jsonl",
        jsonl((3, '{"text": "oh \\ud83d", "label": "a"}')),
        ["train.jsonl:3: the text holds half of a surrogate pair"],
    ),
    "old line ends": (
        "train.csv",
        csv().replace(b"\n", b"\r"),
        ["lines end in CR alone", "tr '\\r' '\\n'"],
    ),
    "an unknown extension": (
        "train.xlsx",
        b"PK\x03\x04",
        ["'.xlsx' is no known extension. Known: .csv, .csv.gz"],
    ),
    "a workbook named csv": (
        "train.csv",
        b"PK\x03\x04....",
        ["zip archive or Excel workbook. Save it as .csv"],
    ),
    "gzip named csv": (
        "train.csv",
        gzip.compress(csv()),
        ["the file is gzip. Rename it to train.csv.gz"],
    ),
    "text named gz": (
        "train.csv.gz",
        csv(),
        ["the name ends in .gz, but it is not gzip"],
    ),
    "Parquet named jsonl": (
        "train.jsonl",
        parquet({"text": ["x"], "label": ["a"]}),
        ["the file is Parquet. Rename it to end in .parquet"],
    ),
    "text named parquet": (
        "train.parquet",
        csv(),
        ["not a Parquet file", "Check its name"],
    ),
    "Parquet cut short": (
        "train.parquet",
        parquet({"text": ["x"], "label": ["a"]})[:-20],
        ["the Parquet file is damaged", "write it again"],
    ),
    "gzip cut short": (
        "train.jsonl.gz",
        gzip.compress(jsonl())[:-30],
        ["train.jsonl.gz:", "the gzip file is cut short or damaged", "Copy or compress it again"],
    ),
    "gzip with a flipped bit": (
        "train.jsonl.gz",
        (lambda data: data[:-6] + bytes([data[-6] ^ 1]) + data[-5:])(gzip.compress(jsonl())),
        ["the gzip file is cut short or damaged"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_broken_file_is_told_with_its_place_value_and_next_step(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, content, expected = CASES[case]
    (tmp_path / name).write_bytes(content)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FixData) as caught:
        load_dataset(DataSource(train=name), seed=7)
    message = str(caught.value)
    assert [part for part in expected if part not in message] == [], message
    assert message.startswith(f"{name} has ")
    assert caught.value.exit_code == 2
