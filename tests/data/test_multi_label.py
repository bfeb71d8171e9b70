"""Rows with any number of labels: read, checked, split, counted and measured."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from toprung.core.errors import FixData
from toprung.data.check import check_dataset
from toprung.data.load import load_dataset
from toprung.data.source import DataSource
from toprung.data.split import carve, part, sample
from toprung.data.tasks.multi_label import MultiLabel

NAMES = ("anger", "joy", "rare")
ROWS = [
    {
        "text": f"text number {i}",
        "labels": {"joy": i % 2, "anger": int(i % 3 == 0), "rare": int(i % 25 == 0)},
    }
    for i in range(200)
]


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return path


def source(folder: Path, rows: list[dict[str, Any]] = ROWS, **options: Any) -> DataSource:
    train = write(folder / "train.jsonl", rows)
    return DataSource(train=str(train), label="labels", task="multi_label", **options)


def problems(folder: Path, rows: list[dict[str, Any]], **options: Any) -> str:
    with pytest.raises(FixData) as raised:
        load_dataset(source(folder, rows, **options), 7)
    return str(raised.value)


def test_objects_lists_and_cells_of_a_table_mean_the_same(tmp_path: Path) -> None:
    lists = [{**row, "labels": [n for n, one in row["labels"].items() if one]} for row in ROWS]
    (tmp_path / "cells").mkdir()
    with (tmp_path / "cells" / "train.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, ["text", "labels"])
        table.writeheader()
        table.writerows({**row, "labels": json.dumps(row["labels"])} for row in ROWS)
    (tmp_path / "array").mkdir()
    (tmp_path / "array" / "train.json").write_text(json.dumps(ROWS))
    (tmp_path / "lists").mkdir()
    first = load_dataset(source(tmp_path), 7)
    others = [
        source(tmp_path / "lists", lists),
        DataSource(train=str(tmp_path / "cells" / "train.csv"), label="labels", task="multi_label"),
        DataSource(
            train=str(tmp_path / "array" / "train.json"), label="labels", task="multi_label"
        ),
    ]
    assert first.label_names == NAMES
    assert [load_dataset(other, 7).sha256 for other in others] == [first.sha256] * 3


def test_validation_is_parted_in_three_that_share_every_label_evenly(tmp_path: Path) -> None:
    data = load_dataset(source(tmp_path, validation_share=0.3), 7)
    parts = [data.splits[name] for name in ("stopping", "selection", "thresholds")]
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    for label in range(3):
        counts = [int(part.labels[:, label].sum()) for part in parts]
        assert max(counts) - min(counts) <= 1, NAMES[label]
    texts = [text for split in data.splits.values() for text in split.texts]
    assert len(texts) == len(set(texts)) == len(ROWS)


@pytest.mark.parametrize(
    ("label", "said"),
    [
        ({"joy": 2}, "label 'joy' is 2; only 0 and 1 are allowed"),
        ({"joy": "1"}, "label 'joy' is '1'; only 0 and 1 are allowed"),
        ({"joy": None}, "label 'joy' is None; only 0 and 1 are allowed"),
        ("joy", "the labels are 'joy', a text"),
        (3, "the labels are 3"),
        (None, "the labels are missing (null). Write [] for none"),
        (["joy", None], "the label is missing"),
    ],
)
def test_a_label_that_is_neither_0_nor_1_is_told_with_its_line(
    tmp_path: Path, label: object, said: str
) -> None:
    told = problems(tmp_path, [*ROWS[:4], {"text": "odd", "labels": label}, *ROWS[4:]])
    assert said in told
    assert "train.jsonl:5" in told


def test_a_label_that_no_row_has_is_told_where_it_is_named(tmp_path: Path) -> None:
    rows = [ROWS[0], {"text": "x", "labels": {"joy": 1, "ghost": 0}}, *ROWS[1:]]
    told = problems(tmp_path, rows)
    assert "train.jsonl:2" in told
    assert "label 'ghost' is never 1 in train" in told


def test_a_label_of_one_row_and_one_that_train_lacks_are_told(tmp_path: Path) -> None:
    told = problems(tmp_path, [*ROWS, {"text": "x", "labels": ["joyy"]}])
    assert "class 'joyy' has 1 row in train" in told
    assert "Did you mean 'joy'?" in told
    test = write(tmp_path / "test.jsonl", [{"text": "new", "labels": ["jey"]}])
    told = problems(tmp_path, ROWS, test=str(test))
    assert "label 'jey' never stands in train. Did you mean 'joy'?" in told


def test_a_row_without_labels_is_a_row(tmp_path: Path) -> None:
    rows = [*ROWS, *({"text": f"nothing {i}", "labels": []} for i in range(20))]
    data = load_dataset(source(tmp_path, rows), 7)
    assert sum(int((split.labels.sum(axis=1) == 0).sum()) for split in data.splits.values()) >= 20


def test_rows_are_counted_by_label(tmp_path: Path) -> None:
    report = check_dataset(source(tmp_path), 7)
    classes = [split.classes for split in report.splits.values()]
    assert sum(one["joy"] for one in classes) == 100
    assert sum(one["rare"] for one in classes) == 8


def test_a_sub_sample_has_its_size_and_keeps_the_rare_label(tmp_path: Path) -> None:
    data = load_dataset(source(tmp_path, train_rows=60), 7)
    assert len(data.splits["train"]) == 60
    assert data.splits["train"].labels[:, 2].sum() >= 2


def test_a_small_sub_sample_has_two_of_every_label(tmp_path: Path) -> None:
    rows = [*ROWS, *({"text": f"grief {i}", "labels": ["grief"]} for i in range(3))]
    data = load_dataset(source(tmp_path, rows, train_rows=20), 7)
    assert data.label_names == ("anger", "grief", "joy", "rare")
    assert len(data.splits["train"]) == 20
    assert (data.splits["train"].labels.sum(axis=0) >= 2).all()
    told = problems(tmp_path, rows, train_rows=1)
    assert "train_rows: 1 rows are too few for every label" in told
    assert "Raise it to 8 or more." in told


def test_of_no_label_do_all_rows_leave_train() -> None:
    labels = [(("a",), ("a", "b"), ("b", "c"))[i % 3] for i in range(9)] + [("d",)]
    for seed in range(20):
        leave = carve(labels, range(10), 0.5, seed)
        stay = {name for row, names in enumerate(labels) if row not in leave for name in names}
        assert stay == set("abcd")


@settings(max_examples=40, deadline=None)
@given(
    labels=st.lists(
        st.sets(st.sampled_from("abcd")).map(lambda s: tuple(sorted(s))), min_size=6, max_size=60
    ),
    seed=st.integers(0, 99),
)
def test_splits_lose_no_row_and_never_part_equal_texts(
    labels: list[tuple[str, ...]], seed: int
) -> None:
    keys = [number // 2 for number in range(len(labels))]
    parts = part(labels, keys, seed, parts=3)
    assert sorted(row for rows in parts for row in rows) == list(range(len(labels)))
    for rows in parts:
        assert all((row ^ 1) in rows or (row ^ 1) >= len(labels) for row in rows)
    assert parts == part(labels, keys, seed, parts=3)
    assert len(sample(labels, 5, seed)) == 5
    leave = carve(labels, keys, 0.3, seed, fixed={0})
    assert not {0, 1} & set(leave)
    assert all((row ^ 1) in leave or (row ^ 1) >= len(labels) for row in leave)


def test_metrics_are_those_of_scikit_learn() -> None:
    chance = np.random.default_rng(3)
    logits, labels = chance.normal(size=(50, 4)), chance.integers(2, size=(50, 4))
    thresholds = np.array([0.2, 0.5, 0.7, 0.9])
    found = MultiLabel().measure(logits, labels, thresholds)
    answered = 1 / (1 + np.exp(-logits)) >= thresholds
    for average in ("macro", "micro", "weighted"):
        expected = f1_score(labels, answered, average=average)
        assert found[f"{average}_f1"] == pytest.approx(expected)
    assert found["subset_accuracy"] == (answered == labels).all(axis=1).mean()
    assert set(found) == set(MultiLabel.metrics)


def test_scores_that_are_not_finite_are_no_metric_error() -> None:
    found = MultiLabel().measure(np.full((3, 2), np.nan), np.array([[0, 1], [1, 0], [1, 1]]))
    assert np.isnan(found["log_loss"])


def test_probabilities_and_logits_are_each_others_inverse() -> None:
    task = MultiLabel()
    logits = np.array([[-30.0, 0.0, 5.0]])
    np.testing.assert_allclose(task.logits(task.probabilities(logits)), [[-27.631021, 0.0, 5.0]])
