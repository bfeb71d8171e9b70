"""Answers of N rows on disk: scores as .npy, texts as JSON lines."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from toprung.core.files import parse_json


def as_texts(rows: Iterable[Sequence[str]]) -> NDArray[Any]:
    """N rows of one text or several, as an array of tuples, so that rows can be chosen.

    >>> as_texts([["a"], ["b", "c"]])[[1]].tolist()
    [('b', 'c')]
    """
    listed = [tuple(row) for row in rows]
    found = np.empty(len(listed), dtype=object)
    found[:] = listed
    return found


def write_answers(path: Path, answers: NDArray[Any]) -> None:
    """Writes scores to ``path.npy``, or texts to ``path.jsonl``, a list a row; appears whole.

    Args:
        path: without an ending.
        answers: (N, C) numbers, or (N,) tuples of texts.
    """
    if answers.dtype == object:
        lines = [json.dumps(list(row), ensure_ascii=False) + "\n" for row in answers]
        text = "".join(lines).encode("utf-8")
        _write(path.with_name(f"{path.name}.jsonl"), lambda file: file.write(text))
    else:
        _write(
            path.with_name(f"{path.name}.npy"),
            lambda file: np.save(file, answers, allow_pickle=False),
        )


def read_answers(path: Path) -> NDArray[Any]:
    """What ``write_answers`` wrote.

    Raises:
        OSError, ValueError, EOFError: not there, or damaged.
    """
    texts = path.with_name(f"{path.name}.jsonl")
    if not texts.is_file():
        return np.asarray(np.load(path.with_name(f"{path.name}.npy"), allow_pickle=False))
    # Not splitlines(): a text may hold line separators that JSON does not escape.
    lines = texts.read_text(encoding="utf-8").split("\n")
    return as_texts(_listed(parse_json(line)) for line in lines if line)


def _listed(row: Any) -> list[str]:
    if not isinstance(row, list) or not all(isinstance(text, str) for text in row):
        raise ValueError("a row is not a list of texts")
    return row


def _write(path: Path, save: Callable[[BinaryIO], Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with aside.open("wb") as file:
        save(file)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
