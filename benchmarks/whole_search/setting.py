"""What a whole search is measured on: data, trials, rungs and targets, the same for everybody."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from toprung.core.seeds import derive_seed
from toprung.data.load import load_dataset
from toprung.data.source import DataSource

SEED = 7
MAX_LENGTH = 128
BATCH = 32
RANKS = (4, 8, 16, 32)


@dataclass(frozen=True)
class Setting:
    """A data set and the size of the search on it.

    Attributes:
        dataset: name of its folder.
        target: validation accuracy; time runs until a trial reports it, at any rung. Fixed
            beforehand: what the weakest of all contestants' full searches reached, less a point
            for the noise between seeds (see the README of this folder).
        rows: to train on, at most.
        held_out: rows that everybody is scored on.
        rungs: examples at which a trial is scored; each three times the one below.
        trials: configurations; every other one adapts all layers, the others the top third.
    """

    dataset: str
    target: float
    rows: int
    held_out: int
    rungs: Sequence[int]
    trials: int = 12

    def configurations(self) -> list[dict[str, Any]]:
        """The list that everybody works through, in its order."""
        chance = random.Random(derive_seed(SEED, "whole_search"))
        return [
            {
                "rank": chance.choice(RANKS),
                "layers": ("all", "top_third")[number % 2],
                "learning_rate": float(f"{10 ** chance.uniform(-3.5, -2.0):.3g}"),
            }
            for number in range(self.trials)
        ]


SETTINGS = {
    "banking77": Setting("banking77", 0.79, rows=9000, held_out=320, rungs=(256, 768, 2304)),
    "imdb": Setting("imdb", 0.77, rows=4000, held_out=320, rungs=(128, 384, 1152)),
}


def smallest(setting: Setting) -> Setting:
    """A search of half a minute: it shows that everything runs, and nothing else."""
    return replace(setting, rungs=(64, 192, 576), trials=4, rows=1200, target=0.3)


def write_rows(setting: Setting, data: Path, work: Path) -> Path:
    """Writes the folder of data that toprung reads; returns the folder."""
    folder = work / setting.dataset
    folder.mkdir(parents=True, exist_ok=True)
    whole = load_dataset(DataSource(path=str(data.resolve()), leaks="warn"), SEED)
    chance = random.Random(derive_seed(SEED, "rows"))
    both = [*_rows(whole, "stopping"), *_rows(whole, "selection")]
    parts = {
        "train": _some(_rows(whole, "train"), setting.rows, chance),
        "validation": _some(both, 2 * setting.held_out, chance),
        "test": _some(_rows(whole, "test"), 200, chance),
    }
    for name, rows in parts.items():
        lines = [json.dumps({"text": text, "label": label}) for text, label in rows]
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def write_order(setting: Setting, folder: Path, work: Path, seed: int) -> dict[str, Any]:
    """Writes the rows that toprung's trials are trained and scored on under a seed, for a peer.

    Returns:
        The peer's order.
    """
    read = load_dataset(DataSource(path=str(folder), leaks="warn"), seed)
    for name in ("train", "stopping"):
        split = read.splits[name]
        pairs = zip(split.texts, split.labels.tolist(), strict=True)
        lines = [json.dumps({"text": text, "labels": label}) for text, label in pairs]
        (work / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return {
        "train": str(work / "train.jsonl"),
        "held_out": str(work / "stopping.jsonl"),
        "classes": read.classes,
        "rungs": list(setting.rungs),
        "trials": setting.configurations(),
        "max_length": MAX_LENGTH,
        "batch": BATCH,
        "seed": seed,
        "work": str(work),
    }


def spec(setting: Setting, folder: Path, seed: int) -> str:
    """The search as toprung's YAML; its own list of trials, its defaults for the rest."""
    first = [_as_ours(trial) for trial in setting.configurations()]
    tree: Mapping[str, Any] = {
        "name": "search",
        "task": "single_label",
        "data": {"path": str(folder), "leaks": "warn"},
        "space": {
            "backbone": "minilm",
            "adapter": {"lora": {"rank": list(RANKS), "layers": ["all", "top_third"]}},
            "pooling": "mean",
            "head": "linear",
            "learning_rate": {"float": [1e-4, 2e-2], "log": True},
            "batch_size": BATCH,
            "max_length": MAX_LENGTH,
        },
        "metric": "accuracy",
        "scheduler": {"asha": {"reduction_factor": 3}},
        "resource": {"unit": "examples", "min": setting.rungs[0], "max": setting.rungs[-1]},
        "budget": {"trials": setting.trials},
        "trial": {"cpus": 1},
        "baselines": [],
        "first": first,
        "seed": seed,
    }
    return yaml.safe_dump(dict(tree), sort_keys=False)


def _as_ours(trial: Mapping[str, Any]) -> dict[str, Any]:
    adapter = {"lora": {"rank": trial["rank"], "layers": trial["layers"]}}
    return {"adapter": adapter, "learning_rate": trial["learning_rate"]}


def _rows(whole: Any, name: str) -> list[tuple[str, str]]:
    split = whole.splits[name]
    names = [whole.label_names[label] for label in split.labels.tolist()]
    return list(zip(split.texts, names, strict=True))


def _some(rows: list[tuple[str, str]], count: int, chance: random.Random) -> list[tuple[str, str]]:
    """So many rows in their order, each class by its share as chance has it; all classes stay."""
    kept = set(range(len(rows)))
    if count < len(rows):
        by_label: dict[str, list[int]] = {}
        for index, (_, label) in enumerate(rows):
            by_label.setdefault(label, []).append(index)
        share = count / len(rows)
        kept = set()
        for indices in by_label.values():
            wanted = max(min(4, len(indices)), round(share * len(indices)))
            kept.update(chance.sample(indices, wanted))
    return [row for index, row in enumerate(rows) if index in kept]
