"""What the check of data counts and how it is laid out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from toprung.core.errors import FixData
from toprung.data.check import check_dataset
from toprung.data.source import DataSource


@pytest.fixture
def source(tmp_path: Path) -> DataSource:
    for split, count in (("train", 100), ("validation", 20), ("test", 200)):
        rows = [{"text": f"{split} words {i}", "label": "ab"[i % 4 == 0]} for i in range(count)]
        if split == "train":
            rows += [{"text": "Train words, 1", "label": "a"}, {"text": "w " * 30, "label": "b"}]
        if split == "test":
            rows += [{"text": "train words 2", "label": "a"}]
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (tmp_path / f"{split}.jsonl").write_text(text)
    return DataSource(path=str(tmp_path))


def test_rows_classes_lengths_repeats_and_leaks_are_counted(source: DataSource) -> None:
    report = check_dataset(source, 7, lambda texts: [len(t.split()) + 2 for t in texts], 16)
    train = report.splits["train"]
    assert (train.rows, train.duplicates) == (102, 1)
    assert train.classes == {"a": 76, "b": 26}
    words, tokens = train.lengths
    assert (words.unit, words.median, words.longest, words.truncated) == ("words", 3, 30, None)
    assert (tokens.unit, tokens.longest) == ("tokens", 32)
    assert tokens.truncated == pytest.approx(1 / 102)
    assert report.leaks == (("test", "train", 1),)
    assert list(report.splits) == ["train", "validation", "test"]


def test_the_report_is_json_and_aligned_lines(source: DataSource) -> None:
    report = check_dataset(source, 7, lambda texts: [len(t) for t in texts], 16)
    value = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert value["splits"]["train"]["rows"] == 102
    assert value["leaks"] == [{"split": "test", "inside": "train", "rows": 1}]
    lines = report.lines()
    table = lines[: next(i for i, line in enumerate(lines) if line.startswith("leaks"))]
    assert lines[0].split() == ["train", "validation", "test"]
    assert len({len(line) for line in table if len(line.split()) > 2}) == 1
    assert any(line.startswith("  over 16") for line in lines)
    assert "1 rows of test stand in train too" in "\n".join(lines)


def test_many_classes_are_summed_up(tmp_path: Path) -> None:
    rows = [{"text": f"row {i}", "label": i % 50} for i in range(1000)]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    report = check_dataset(DataSource(path=str(tmp_path)), 7)
    assert any(line.startswith("  … 40 more") for line in report.lines(classes=10))


def test_a_check_refuses_what_a_search_refuses(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("text,label\nx,a\ny,a\n")
    with pytest.raises(FixData, match="one class only"):
        check_dataset(DataSource(path=str(tmp_path)), 7)
