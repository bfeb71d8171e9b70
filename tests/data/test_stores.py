"""Folders of files, saved data sets, Parquet with class names, and the hub without network."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import datasets
import pytest
from huggingface_hub import constants

from toprung.core.errors import FixData, FixEnvironment
from toprung.data.dataset import Dataset
from toprung.data.load import load_dataset
from toprung.data.source import DataSource


def named(rows: int, word: str = "row", *, hidden: bool = False) -> datasets.Dataset:
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["neg", "pos"])}
    )
    labels = [-1 if hidden else i % 2 for i in range(rows)]
    texts = [f"{word} number {i}" for i in range(rows)]
    return datasets.Dataset.from_dict({"text": texts, "label": labels}, features=features)


def rows_of(data: Dataset) -> dict[str, int]:
    return {name: len(split) for name, split in data.splits.items()}


def test_a_saved_folder_is_read_with_its_class_names(tmp_path: Path) -> None:
    splits = {"train": named(50), "validation": named(10, "dev"), "test": named(8, "test")}
    datasets.DatasetDict(splits).save_to_disk(str(tmp_path / "saved"))
    data = load_dataset(DataSource(path="saved", base=str(tmp_path)), seed=7)
    assert data.label_names == ("neg", "pos")
    assert rows_of(data) == {"train": 50, "stopping": 5, "selection": 5, "test": 8, "extra": 0}


def test_a_saved_data_set_without_splits_is_train(tmp_path: Path) -> None:
    named(50).save_to_disk(str(tmp_path / "saved"))
    data = load_dataset(DataSource(path="saved", base=str(tmp_path)), seed=7)
    assert rows_of(data) == {"train": 42, "stopping": 2, "selection": 2, "test": 4, "extra": 0}


def test_a_test_split_with_hidden_labels_is_carved_instead(tmp_path: Path) -> None:
    splits = {"train": named(50), "test": named(8, "test", hidden=True)}
    datasets.DatasetDict(splits).save_to_disk(str(tmp_path / "saved"))
    data = load_dataset(DataSource(path="saved", base=str(tmp_path)), seed=7)
    assert all(text.startswith("row") for text in data.splits["test"].texts)


def test_a_damaged_saved_folder_is_told(tmp_path: Path) -> None:
    named(50).save_to_disk(str(tmp_path / "saved"))
    for file in (tmp_path / "saved").glob("*.arrow"):
        file.write_bytes(b"nothing")
    with pytest.raises(FixData, match=r"cannot be read: .* Save it again"):
        load_dataset(DataSource(path="saved", base=str(tmp_path)), seed=7)


def test_parquet_that_datasets_wrote_keeps_its_class_names(tmp_path: Path) -> None:
    named(50).to_parquet(str(tmp_path / "train.parquet"))
    data = load_dataset(DataSource(train="train.parquet", base=str(tmp_path)), seed=7)
    assert data.label_names == ("neg", "pos")


def test_a_folder_is_searched_for_files_by_their_names(tmp_path: Path) -> None:
    named(50).to_csv(str(tmp_path / "train.csv"), index=False)
    named(10, "dev").to_json(str(tmp_path / "dev.jsonl"))
    for piece in range(2):
        path = tmp_path / f"test-0000{piece}-of-00002.parquet"
        named(4, f"test {piece}").to_parquet(str(path))
    (tmp_path / "notes.txt").write_text("not rows")
    (tmp_path / "train.csv").write_text(
        (tmp_path / "train.csv").read_text().replace(",0\n", ",neg\n").replace(",1\n", ",pos\n")
    )
    dev = [json.loads(line) for line in (tmp_path / "dev.jsonl").read_text().splitlines()]
    lines = [json.dumps({**row, "label": ["neg", "pos"][row["label"]]}) for row in dev]
    (tmp_path / "dev.jsonl").write_text("\n".join(lines))
    data = load_dataset(DataSource(path=str(tmp_path)), seed=7)
    assert rows_of(data) == {"train": 50, "stopping": 5, "selection": 5, "test": 8, "extra": 0}


def test_a_folder_without_train_or_with_two_is_told(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("text,label\n")
    with pytest.raises(FixData, match=r"no file for train; it holds data\.csv"):
        load_dataset(DataSource(path=str(tmp_path)), seed=7)
    for name in ("train.csv", "train.jsonl"):
        (tmp_path / name).write_text("x")
    with pytest.raises(FixData, match=r"several files for train: train\.csv, train\.jsonl"):
        load_dataset(DataSource(path=str(tmp_path)), seed=7)


def test_a_file_as_path_and_an_unknown_corpus_are_told(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("text,label\n")
    with pytest.raises(FixData, match=r"Give it as data\.train"):
        load_dataset(DataSource(path="rows.csv", base=str(tmp_path)), seed=7)
    with pytest.raises(FixData, match=r"no corpora 'ticket'. Did you mean 'tickets'"):
        load_dataset(DataSource(corpus="ticket"), seed=7)
    with pytest.raises(FixData, match="rows: 5 is not from 600"):
        load_dataset(DataSource(corpus="tickets", corpus_options={"rows": 5}), seed=7)


def test_a_hub_id_while_offline_says_at_once_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, waits: list[float]
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)
    with pytest.raises(FixEnvironment) as caught:
        load_dataset(DataSource(path="nobody/no-such-rows"), seed=7)
    assert sum(waits) < 5
    message = str(caught.value)
    assert "'nobody/no-such-rows'" in message
    assert "HF_HUB_OFFLINE is set" in message
    assert "save_to_disk" in message
    assert caught.value.exit_code == 3


def test_a_hub_that_cannot_be_reached_says_at_once_what_to_do(
    monkeypatch: pytest.MonkeyPatch, waits: list[float]
) -> None:
    for name in ("HF_HUB_OFFLINE", "https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(FixEnvironment, match=r"no network connection to http://127\.0\.0\.1:9"):
        load_dataset(DataSource(path="nobody/no-such-rows"), seed=7)
    assert sum(waits) < 5


def test_files_are_read_without_loading_what_only_hubs_need() -> None:
    code = (
        "import sys; from toprung.data.load import load_dataset;"
        "from toprung.data.source import DataSource;"
        "load_dataset(DataSource(corpus='tickets', corpus_options={'rows': 600}), 7);"
        "print([m for m in ('datasets', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
