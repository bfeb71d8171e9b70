"""The rows that all contestants train on and are judged by; standard library only."""

from __future__ import annotations

import gzip
import json
import random
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Rows:
    """Texts and the numbers of their classes.

    Attributes:
        texts, labels: of N rows, in the same order.
        names: of the classes, in alphabetical order.
    """

    texts: list[str]
    labels: list[int]
    names: list[str]


def pick(folder: Path, rows: int, held_out: int = 0, seed: int = 0) -> tuple[Rows, Rows]:
    """Rows to train on, and rows that are not among them to judge by; never the test split.

    Args:
        folder: of a data set, with train.jsonl.gz and validation.jsonl.gz.
        rows: to train on, drawn from train; 0 is all of it.
        held_out: at most so many: validation first, then rows of train that are left.
        seed: of the draw.
    """
    train, validation = _read(folder / "train.jsonl.gz"), _read(folder / "validation.jsonl.gz")
    names = sorted({label for _, label in train})
    random.Random(seed).shuffle(train)
    count = rows or len(train)
    others = (validation + train[count:])[:held_out]
    return _numbered(train[:count], names), _numbered(others, names)


def _numbered(pairs: list[tuple[str, str]], names: list[str]) -> Rows:
    number = {name: index for index, name in enumerate(names)}
    return Rows([text for text, _ in pairs], [number[label] for _, label in pairs], names)


def _read(path: Path) -> list[tuple[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        found = [json.loads(line) for line in lines]
    return [(row["text"], str(row["label"])) for row in found]
