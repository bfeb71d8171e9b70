"""One tiny search on the real path, run once and shared by the tests of api, ship and cli."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from toprung.api import Search
from toprung.api.opening import Settings

TINY: dict[str, Any] = {
    "name": "tiny",
    "task": "single_label",
    "data": {"corpus": {"tickets": {"rows": 600}}, "train_rows": 192},
    "space": {
        "backbone": {"minilm": {"depth": 1}},
        "adapter": {"lora": {"rank": [2, 4]}, "frozen": {}},
        "pooling": ["cls", "mean"],
        "learning_rate": {"float": [1e-3, 1e-2], "log": True},
        "batch_size": 16,
        "max_length": 16,
    },
    "metric": "macro_f1",
    "scheduler": {"asha": {"rule": "promote", "reduction_factor": 2}},
    "searcher": "random",
    "resource": {"unit": "examples", "min": 64, "max": 128},
    "budget": {"trials": 4},
    "trial": {"precision": "float32"},
    "ensemble": {"uniform": {"members": 2, "candidates": 2}},
    "seed": 7,
}


def make_windows(rows: int, seed: int) -> dict[str, Any]:
    """Windows whose class shows late, in both of two modalities, and two auxiliary targets."""
    chance = np.random.default_rng(seed)
    labels = (chance.random(rows) < 0.4).astype(np.int64)
    labels[:4] = (0, 1, 0, 1)
    acc = chance.normal(size=(rows, 12, 2)).astype(np.float32)
    gyro = (50 + 20 * chance.normal(size=(rows, 6, 1))).astype(np.float32)
    acc[:, 8:, 0] += 2 * labels[:, None]
    gyro[:, 4:, 0] -= 60 * labels[:, None]
    return {
        "acc": acc,
        "gyro": gyro,
        "labels": labels,
        "label_names": np.array(["calm", "fall"]),
        "modalities": np.array(["acc", "gyro"]),
        "aux_peak": np.abs(acc[:, :, 0]).max(axis=1) + chance.normal(size=rows).astype(np.float32),
        "aux_kind": labels * 2 + chance.integers(0, 2, rows),
        "aux_kind_names": np.array(["a", "b", "c", "d"]),
        "subject": np.array([f"s{row % 5}" for row in range(rows)]),
    }


@pytest.fixture(scope="session")
def windows() -> Callable[[int, int], dict[str, Any]]:
    """The arrays of one file of windows, by rows and seed."""
    return make_windows


@pytest.fixture(scope="session")
def write_windows() -> Callable[..., Path]:
    """Writes a folder of train, validation and test.npz; ``train={"acc": None}`` leaves one out."""

    def write(folder: Path, **changes: dict[str, Any]) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for seed, (split, rows) in enumerate((("train", 96), ("validation", 48), ("test", 40))):
            arrays = {**make_windows(rows, seed), **changes.get(split, {})}
            kept = {name: array for name, array in arrays.items() if array is not None}
            np.savez(folder / f"{split}.npz", **kept)
        return folder

    return write


def make_dialogues(rows: int, seed: int) -> list[dict[str, Any]]:
    """Short dialogues with what they come to; each holds a tag, as of an attacker."""
    chance = np.random.default_rng(seed)
    things = ("a book", "the car", "some tea", "a ticket", "the report")
    found = []
    for number in range(rows):
        one, other = chance.choice(["Ann", "Bob", "Carla", "Dan"], 2, replace=False)
        thing = chance.choice(things)
        text = f"{one}: Hi {other}, <b>{seed}.{number}!\n{other}: I need {thing}.\n{one}: Sure."
        found.append({"dialogue": text, "summary": f"{one} will bring {thing}."})
    return found


@pytest.fixture(scope="session")
def write_dialogues() -> Callable[..., Path]:
    """Writes a folder of train, validation and test.jsonl; test rows have two references."""

    def write(folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for seed, (split, rows) in enumerate((("train", 64), ("validation", 20), ("test", 12))):
            made = make_dialogues(rows, seed)
            if split == "test":
                made = [{**row, "summaries": [row["summary"], "A favour."]} for row in made]
            lines = "".join(json.dumps(row) + "\n" for row in made)
            (folder / f"{split}.jsonl").write_text(lines, encoding="utf-8")
        return folder

    return write


@pytest.fixture(scope="session")
def write_spec() -> Callable[..., Path]:
    """Writes the tiny spec into a folder, some of its top keys replaced."""

    def write(folder: Path, **replaced: Any) -> Path:
        tree = {**TINY, **replaced}
        path = folder / f"{tree['name']}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(tree, sort_keys=False), encoding="utf-8")
        return path

    return write


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, write_spec: Callable[..., Path]) -> Search:
    """A search that went through, never interrupted; nobody may change its folder."""
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("finished")
    settings = Settings(runner="inline", results=str(root / "results"))
    return Search(str(write_spec(root)), settings=settings).fit()


@pytest.fixture
def copied(finished: Search, tmp_path: Path) -> Search:
    """The finished search in a folder of its own, to go on with."""
    results = tmp_path / "results"
    shutil.copytree(finished.folder.root, results / "tiny")
    return Search.attach("tiny", Settings(runner="inline", results=str(results)))


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds of every sleep that is asked for from now on; none is slept."""
    asked: list[float] = []
    monkeypatch.setattr(time, "sleep", asked.append)
    return asked


@pytest.fixture
def move_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """What follows happens on a machine of that name, in a working directory of its own."""

    def move(name: str) -> Path:
        folder = tmp_path / name
        (folder / "work").mkdir(parents=True, exist_ok=True)
        monkeypatch.setenv("TOPRUNG_CACHE", str(folder / "cache"))
        monkeypatch.chdir(folder / "work")
        return folder

    return move
