"""Every format gives the same rows, also gzipped, with other line ends, marks and columns."""

from __future__ import annotations

import csv
import gzip
import io
import json
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toprung.data.labels import label_name
from toprung.data.read import extensions, read_rows
from toprung.data.rows import Columns, Problems, Table

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)
ROWS = st.lists(
    st.tuples(TEXTS.filter(lambda text: not text.isspace()), st.sampled_from(["a", "b", "c, d"])),
    min_size=1,
    max_size=20,
)


def encode(name: str, rows: list[tuple[str, object]]) -> bytes:
    """The rows in the format of an extension, as the usual tools write them."""
    ending = name.split(".")[1]
    texts, labels = [row[0] for row in rows], [row[1] for row in rows]
    objects = [{"label": label, "other": 1, "text": text} for text, label in rows]
    if ending == "jsonl":
        data = "".join(json.dumps(o, ensure_ascii=False) + "\n" for o in objects).encode()
    elif ending == "json":
        data = json.dumps(objects, indent=1).encode()
    elif ending == "parquet":
        file = io.BytesIO()
        pq.write_table(pa.table({"text": texts, "label": labels}), file)
        data = file.getvalue()
    else:
        cells = io.StringIO(newline="")
        separator = "," if ending == "csv" else "\t"
        writer = csv.writer(cells, delimiter=separator, quoting=csv.QUOTE_ALL)
        writer.writerows([("text", "label"), *rows])
        data = cells.getvalue().encode()
    return gzip.compress(data) if name.endswith(".gz") else data


def read(
    folder: Path, name: str, data: bytes, columns: tuple[str, str] = ("text", "label")
) -> Table:
    (folder / name).write_bytes(data)
    table, problems = Table("train"), Problems()
    table.add_file(name, read_rows(folder / name, Columns(*columns)), problems)
    assert problems.found == []
    return table


@given(rows=ROWS)
@settings(max_examples=30, deadline=None)
def test_what_is_written_in_any_format_is_read_again(rows: list[tuple[str, object]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for extension in extensions():
            name = f"rows{extension}"
            table = read(Path(folder), name, encode(name, rows))
            assert list(zip(table.texts, table.labels, strict=True)) == rows, extension


@pytest.mark.parametrize(
    "labels", [["1", "0"], [1, 0], [1.0, 0.0], ["1.0", "0.0"], [" 1 ", "+0"[1:]]]
)
@pytest.mark.parametrize("extension", [".jsonl", ".csv", ".parquet"])
def test_labels_mean_the_same_class_however_they_are_written(
    labels: list[object], extension: str, tmp_path: Path
) -> None:
    rows = [("x", labels[0]), ("y", labels[1])]
    name = f"rows{extension}"
    assert read(tmp_path, name, encode(name, rows)).labels == ["1", "0"]


@pytest.mark.parametrize("extension", [".jsonl", ".csv", ".parquet"])
def test_truth_values_are_named_alike_in_every_format(extension: str, tmp_path: Path) -> None:
    name = f"rows{extension}"
    data = encode(name, [("x", True), ("y", False)])
    assert read(tmp_path, name, data).labels == ["true", "false"]


@given(value=st.integers(-(10**15), 10**15))
def test_a_whole_number_has_one_name(value: int) -> None:
    names = {label_name(v) for v in (value, float(value), str(value), f" {value}.0 ")}
    assert names == {str(value)}


@pytest.mark.parametrize("extension", [".jsonl", ".json", ".csv", ".tsv"])
def test_crlf_and_a_mark_of_utf_8_are_accepted(extension: str, tmp_path: Path) -> None:
    name = f"rows{extension}"
    data = encode(name, [("x", "a"), ("y", "b")]).replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    table = read(tmp_path, name, b"\xef\xbb\xbf" + data)
    assert (table.texts, table.labels) == (["x", "y"], ["a", "b"])


def test_lines_are_those_of_the_file(tmp_path: Path) -> None:
    cells = read(tmp_path, "r.csv", b'text,label\n"two\nlines",a\n\nlast,b\n')
    assert [cells.place(i) for i in range(2)] == ["r.csv:2", "r.csv:5"]
    array = b'[\n {"text": "x",\n  "label": "a"},\n\n {"text": "y", "label": "b"}\n]\n'
    assert [read(tmp_path, "r.json", array).place(i) for i in range(2)] == ["r.json:2", "r.json:5"]
    objects = b'\n{"text": "x", "label": "a"}\n\n{"text": "y", "label": "b"}'
    assert [read(tmp_path, "r.jsonl", objects).place(i) for i in range(2)] == [
        "r.jsonl:2",
        "r.jsonl:4",
    ]


def test_columns_may_have_any_names(tmp_path: Path) -> None:
    table = read(tmp_path, "r.csv", b"id,What,Kind\n1,x,a\n2,y,b\n", ("What", "Kind"))
    assert (table.texts, table.labels) == (["x", "y"], ["a", "b"])


def test_json_lines_in_a_json_file_and_an_array_in_a_jsonl_file_are_read(tmp_path: Path) -> None:
    rows: list[tuple[str, object]] = [("x", "a"), ("y", "b")]
    assert read(tmp_path, "r.json", encode("r.jsonl", rows)).texts == ["x", "y"]
    assert read(tmp_path, "r.jsonl", encode("r.json", rows)).texts == ["x", "y"]


@pytest.mark.parametrize("extension", [".jsonl", ".csv"])
def test_a_row_of_a_megabyte_is_accepted_cut_and_named(extension: str, tmp_path: Path) -> None:
    name = f"rows{extension}"
    rows: list[tuple[str, object]] = [("word " * 210_000, "a"), ("y", "b")]
    table = read(tmp_path, name, encode(name, rows))
    assert [len(text) for text in table.texts] == [100_000, 1]
    assert len(table.cut) == 1
