"""Data that contradicts itself, across files or with its source: told at once, exit code 2."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from toprung.core.errors import FixData
from toprung.data.load import load_dataset
from toprung.data.source import DataSource


def good(rows: int = 40) -> list[dict[str, Any]]:
    return [{"text": f"row number {i} of them", "label": "ab"[i % 2]} for i in range(rows)]


def lines(rows: Sequence[dict[str, Any]]) -> list[str]:
    return [json.dumps(row) for row in rows]


def write(folder: Path, **splits: Sequence[dict[str, Any]]) -> DataSource:
    for split, rows in splits.items():
        (folder / f"{split}.jsonl").write_text("\n".join(lines(rows)) + "\n")
    paths: dict[str, Any] = {split: f"{split}.jsonl" for split in splits}
    return replace(DataSource(base=str(folder)), **paths)


def told(source: DataSource) -> str:
    with pytest.raises(FixData) as caught:
        load_dataset(source, seed=7)
    return str(caught.value)


def test_an_absent_file_is_told_with_the_nearest_name(tmp_path: Path) -> None:
    write(tmp_path, train=good())
    message = told(DataSource(train="trian.jsonl", base=str(tmp_path)))
    assert "no such file. Did you mean 'train.jsonl'?" in message


def test_an_absent_folder_is_told(tmp_path: Path) -> None:
    assert "nor is there a folder" in told(DataSource(train="x/train.jsonl", base=str(tmp_path)))
    message = told(DataSource(path="./nowhere", base=str(tmp_path)))
    assert "no such folder, and no hub id" in message


def test_only_twenty_bad_rows_of_a_file_are_listed_and_the_others_counted(tmp_path: Path) -> None:
    rows = good(51) + [{"text": "", "label": "a"}] * 51
    message = told(write(tmp_path, train=rows))
    assert message.count("the text is empty") == 20
    assert "… and 31 more" in message
    assert "data.on_bad_row: skip" in message


def test_problems_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    source = write(tmp_path, train=good(), test=[{"text": "", "label": "a"}])
    (tmp_path / "train.jsonl").write_text("{\n" + "\n".join(lines(good())))
    message = told(source)
    assert "train.jsonl:1: not JSON" in message
    assert "test.jsonl:1: the text is empty" in message


@pytest.mark.parametrize("split", ["validation", "test"])
def test_a_label_that_training_never_saw_is_told_with_the_nearest(
    split: str, tmp_path: Path
) -> None:
    train = [{"text": f"row {i}", "label": ["refund", "login"][i % 2]} for i in range(40)]
    other = [{"text": f"new {i}", "label": "refnd"} for i in range(3)]
    message = told(write(tmp_path, train=train, **{split: other}))
    assert f"{split}.jsonl:1: label 'refnd' (3 rows) never stands in train." in message
    assert "Did you mean 'refund'? Known: login, refund." in message


def test_more_than_one_percent_of_leaks_is_refused_with_both_places(tmp_path: Path) -> None:
    test = [*good(), {"text": "ROW number 3, of THEM!", "label": "b"}][-1:]
    message = told(write(tmp_path, train=good(), test=test))
    assert "test.jsonl:1: 1 of the rows of test (100.0%) stand in train too" in message
    assert "train.jsonl:4" in message
    assert "data.leaks: warn" in message


def test_the_text_column_cannot_be_the_label_column(tmp_path: Path) -> None:
    message = told(DataSource(train="train.csv", label="text", base=str(tmp_path)))
    assert "label: 'text' is the text column too" in message


def test_contradictions_of_a_source_are_told_at_once() -> None:
    source = DataSource(train="a", path="b", train_rows=0, test_share=0.9, revision="x", corpus="t")
    message = told(source)
    assert "not train and path and corpus" in message
    assert "train_rows: 0 is not 1 or more" in message
    assert "test_share: 0.9 is not above 0 and at most 0.5" in message


def test_too_few_train_rows_are_told_with_the_least_number(tmp_path: Path) -> None:
    source = write(tmp_path, train=good())
    message = told(DataSource(train=source.train, base=source.base, train_rows=3))
    assert "train_rows: 3 rows are too few for 2 of each of 2 classes. Raise it to 4" in message


def test_a_validation_of_one_row_cannot_be_halved(tmp_path: Path) -> None:
    source = write(tmp_path, train=good(), validation=[{"text": "new", "label": "a"}])
    assert "validation: 1 row; at least 2 are needed" in told(source)


def test_texts_that_are_all_the_same_cannot_be_carved(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{"text": "same", "label": "ab"[i % 2]} for i in range(20)]
    assert "cannot be carved from train" in told(write(tmp_path, train=rows))


def test_bad_rows_are_skipped_and_counted_where_asked(tmp_path: Path) -> None:
    rows = [*good(), {"text": "", "label": "a"}, {"text": "x", "label": "odd"}]
    source = write(
        tmp_path,
        train=rows,
        test=[*good(4)[:0], {"text": "q", "label": "odd"}, {"text": "new", "label": "a"}],
    )
    lenient = DataSource(train=source.train, test=source.test, base=source.base, on_bad_row="skip")
    data = load_dataset(lenient, seed=7)
    assert data.label_names == ("a", "b")
    assert data.splits["test"].texts == ("new",)
    assert "3 bad rows were skipped (on_bad_row: skip)." in data.notes


def test_an_undecodable_line_alone_can_be_skipped(tmp_path: Path) -> None:
    rows = [f"{row['text']},{row['label']}" for row in good()]
    content = "\n".join(["text,label", "le café est bon,a", *rows[1:]]).encode("latin-1")
    (tmp_path / "train.csv").write_bytes(content)
    source = DataSource(train="train.csv", base=str(tmp_path), on_bad_row="skip")
    data = load_dataset(source, seed=7)
    assert sum(len(split) for split in data.splits.values()) == 39
