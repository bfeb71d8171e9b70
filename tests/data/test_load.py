"""From a source to the splits of a search: carving, halving, sampling, notes and the hash."""

from __future__ import annotations

import json
import pickle
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from toprung.data.dataset import Dataset
from toprung.data.load import load_dataset
from toprung.data.repeats import text_key
from toprung.data.source import DataSource


def write(path: Path, rows: list[tuple[str, object]]) -> None:
    path.write_text("".join(json.dumps({"text": t, "label": v}) + "\n" for t, v in rows))


def rows(count: int, word: str = "row", classes: int = 3) -> list[tuple[str, object]]:
    return [(f"{word} number {i}", f"c{i % classes}") for i in range(count)]


@pytest.fixture
def source(tmp_path: Path) -> DataSource:
    write(tmp_path / "train.jsonl", rows(300))
    return DataSource(train="train.jsonl", base=str(tmp_path))


def sizes(data: Dataset) -> dict[str, int]:
    return {name: len(split) for name, split in data.splits.items()}


def test_validation_and_test_are_carved_where_absent(source: DataSource) -> None:
    data = load_dataset(source, seed=7)
    assert sizes(data) == {"train": 240, "stopping": 15, "selection": 15, "test": 30, "extra": 0}
    assert any("test was carved from train: 30 rows" in note for note in data.notes)
    everything = [text for split in data.splits.values() for text in split.texts]
    assert sorted(everything) == sorted(text for text, _ in rows(300))


def test_given_splits_are_used_whole_and_validation_is_halved(source: DataSource) -> None:
    write(Path(source.base) / "dev.jsonl", rows(31, "dev"))
    write(Path(source.base) / "test.jsonl", rows(20, "test"))
    data = load_dataset(replace(source, validation="dev.jsonl", test="test.jsonl"), seed=7)
    assert sizes(data) == {"train": 300, "stopping": 16, "selection": 15, "test": 20, "extra": 0}
    assert data.notes == ()


def test_repeats_of_a_text_are_never_parted_by_carving(source: DataSource) -> None:
    again = [(text.upper() + "!", label) for text, label in rows(300)]
    write(Path(source.base) / "train.jsonl", rows(300) + again)
    data = load_dataset(source, seed=7)
    keys = [{text_key(text) for text in split.texts} for split in data.splits.values()]
    assert sum(map(len, keys)) == len(set().union(*keys)) == 300
    assert "300 rows of train repeat an earlier text." in data.notes


def test_a_sub_sample_keeps_shares_and_the_rest_is_extra(source: DataSource) -> None:
    data = load_dataset(replace(source, train_rows=60), seed=7)
    assert (sizes(data)["train"], sizes(data)["extra"]) == (60, 180)
    assert Counter(data.splits["train"].labels.tolist()) == {0: 20, 1: 20, 2: 20}


def test_the_same_seed_gives_the_same_data_and_another_seed_another(source: DataSource) -> None:
    one, same, other = (load_dataset(source, seed=seed) for seed in (7, 7, 8))
    assert one.sha256 == same.sha256 != other.sha256
    assert one.splits["train"].texts == same.splits["train"].texts


def test_the_hash_depends_on_every_text_and_label(source: DataSource) -> None:
    before = load_dataset(source, seed=7).sha256
    write(Path(source.base) / "train.jsonl", [*rows(299), ("row number 299x", "c2")])
    assert load_dataset(source, seed=7).sha256 != before


def test_labels_are_numbered_by_number_or_alphabet(source: DataSource) -> None:
    write(Path(source.base) / "train.jsonl", [(f"row {i}", i % 12) for i in range(240)])
    data = load_dataset(source, seed=7)
    assert data.label_names == tuple(map(str, range(12)))
    train = data.splits["train"]
    assert all(int(t.split()[1]) % 12 == n for t, n in zip(train.texts, train.labels, strict=True))
    assert train.labels.dtype == np.int64


def test_a_class_too_rare_to_carve_stays_in_train_with_a_note(source: DataSource) -> None:
    write(
        Path(source.base) / "train.jsonl", [*rows(300), *[(f"odd {i}", "rare") for i in range(2)]]
    )
    data = load_dataset(source, seed=7)
    assert "test has no row of 1 class, too rare to part: rare." in data.notes
    assert (data.splits["train"].labels == data.label_names.index("rare")).sum() == 2


def test_a_few_leaks_are_counted_and_more_only_where_accepted(source: DataSource) -> None:
    few = [("Row Number 5", "c2"), *rows(199, "test")]
    write(Path(source.base) / "test.jsonl", few)
    data = load_dataset(replace(source, test="test.jsonl"), seed=7)
    assert any("1 of the rows of test (0.5%) stand in train too" in note for note in data.notes)
    write(Path(source.base) / "test.jsonl", rows(30))
    accepted = load_dataset(replace(source, test="test.jsonl", leaks="warn"), seed=7)
    assert any("30 of the rows of test (100.0%)" in note for note in accepted.notes)


def test_texts_under_several_labels_are_noted_with_both_places(source: DataSource) -> None:
    write(Path(source.base) / "train.jsonl", [*rows(300), ("row number 0", "c1")])
    notes = "\n".join(load_dataset(source, seed=7).notes)
    assert "1 text of train stands under several labels" in notes
    assert "train.jsonl:1" in notes
    assert "train.jsonl:301" in notes


def test_a_very_long_text_is_cut_and_noted(source: DataSource) -> None:
    write(Path(source.base) / "train.jsonl", [*rows(300), ("long " * 210_000, "c1")])
    notes = load_dataset(source, seed=7).notes
    assert any("1 text of train cut to 100,000 characters" in note for note in notes)


def test_a_dataset_travels_to_workers_and_can_lack_its_test(source: DataSource) -> None:
    data = load_dataset(source, seed=7).without("test")
    copy = pickle.loads(pickle.dumps(data))
    assert "test" not in copy.splits
    assert copy.sha256 == data.sha256
    with pytest.raises(KeyError, match="no split 'test'"):
        data.without("test")


def test_forty_thousand_rows_load_within_seconds(source: DataSource) -> None:
    text = "a text of about as many words as an ordinary review of some product has " * 5
    write(Path(source.base) / "train.jsonl", [(f"{i} {text}", i % 15) for i in range(40_000)])
    before = time.process_time()
    assert abs(len(load_dataset(source, seed=7).splits["train"]) - 32_000) < 30
    assert time.process_time() - before < 8


def test_paths_start_from_the_base_or_else_from_the_working_directory(
    source: DataSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    elsewhere = replace(source, base="/")
    assert load_dataset(elsewhere, 7).sha256 == load_dataset(source, 7).sha256
