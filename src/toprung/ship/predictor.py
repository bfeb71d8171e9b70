"""A saved ensemble, loaded to predict."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from toprung.core.errors import FixEnvironment
from toprung.core.files import read_json, sha256_file
from toprung.judge.calibrate import apply_temperature
from toprung.judge.ensembles._base import blend
from toprung.learn.member import Member, load_member
from toprung.learn.together import score_together

ENSEMBLE_NAME = "ensemble.json"
Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Prediction:
    """One text's answer: the label, and every label's probability."""

    label: str
    probabilities: Mapping[str, float]


class Ensemble:
    """Members and their weights; predicts like a scikit-learn classifier.

    Attributes:
        labels: class names, in the order of probabilities.
        members: the loaded members by trial id.
        weights: by trial id; they sum to 1.
    """

    def __init__(
        self,
        members: Mapping[str, Member],
        weights: Mapping[str, float],
        labels: Sequence[str],
        *,
        temperature: float = 1.0,
    ) -> None:
        self.members = dict(members)
        self.weights = dict(weights)
        self.labels = tuple(labels)
        self.temperature = temperature

    @classmethod
    def load(cls, path: str | Path) -> Ensemble:
        """Loads the ``ensemble/`` folder of a search.

        Members on the same backbone load it once.

        Raises:
            FixEnvironment: a file is missing, or is not the one that was saved.
        """
        root = Path(path)
        described = root / ENSEMBLE_NAME
        if not described.is_file():
            raise FixEnvironment(
                f"{root} holds no {ENSEMBLE_NAME}. Give the ensemble/ folder of a search, or "
                f"build it with 'toprung ensemble <search>'."
            )
        said = _read(described)
        members = {}
        for entry in said.members:
            folder = root / "members" / entry.trial
            _check(folder, entry.files)
            members[entry.trial] = load_member(folder)
            if members[entry.trial].label_names != said.labels:
                raise _foreign(described, f"{entry.trial} knows other labels")
        weights = {entry.trial: entry.weight for entry in said.members}
        return cls(members, weights, said.labels, temperature=said.temperature)

    def member_logits(self, texts: Sequence[str]) -> dict[str, Array]:
        """Each member's logits, shape (texts, classes), float32.

        What members share is computed once: tokens, and frozen layers of the same backbone.

        Raises:
            TypeError: one text instead of a list of texts, or something that is no text.
        """
        found = score_together(list(self.members.values()), _listed(texts))
        return dict(zip(self.members, found, strict=True))

    def predict_proba(self, texts: Sequence[str]) -> Array:
        """Calibrated probabilities, shape (texts, classes), rows summing to 1.

        Args:
            texts: a list, an array or a column of a DataFrame.

        Raises:
            TypeError: one text instead of several, or something that is no text.
        """
        logits = self.member_logits(texts)
        if not len(next(iter(logits.values()))):
            return np.zeros((0, len(self.labels)))
        return apply_temperature(blend(logits, self.weights), self.temperature)

    def predict(self, texts: Sequence[str]) -> list[str]:
        """The most probable label of each text."""
        return [self.labels[i] for i in self.predict_proba(texts).argmax(axis=1)]

    def predictions(self, texts: Sequence[str]) -> list[Prediction]:
        """Label and probabilities of each text, as values for JSON."""
        answers = []
        for row in self.predict_proba(texts):
            named = {label: float(p) for label, p in zip(self.labels, row, strict=True)}
            answers.append(Prediction(self.labels[int(row.argmax())], named))
        return answers


@dataclass(frozen=True)
class _Entry:
    trial: str
    weight: float
    files: Mapping[str, str]


@dataclass(frozen=True)
class _Described:
    members: tuple[_Entry, ...]
    labels: tuple[str, ...]
    temperature: float


def _read(path: Path) -> _Described:
    """What ``ensemble.json`` says, every value of it checked: it may come from anywhere."""
    try:
        said = read_json(path)
        entries = tuple(
            _Entry(str(m["trial"]), float(m["weight"]), dict(m["files"])) for m in said["members"]
        )
        found = _Described(entries, tuple(map(str, said["labels"])), float(said["temperature"]))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _foreign(path, f"{type(error).__name__}: {error}") from None
    numbers = [entry.weight for entry in found.members]
    if any(Path(e.trial).name != e.trial or e.trial in ("", "..") for e in found.members):
        raise _foreign(path, "a member's name is a path")
    if not all(0 < n <= 1 for n in numbers) or not math.isclose(sum(numbers), 1, abs_tol=1e-6):
        raise _foreign(path, f"weights {numbers} do not sum to 1")
    if not 0 < found.temperature < math.inf:
        raise _foreign(path, f"temperature {found.temperature}")
    return found


def _foreign(path: Path, why: str) -> FixEnvironment:
    return FixEnvironment(
        f"{path} is not as toprung wrote it ({why}); copy the ensemble/ folder again."
    )


def _listed(texts: Sequence[str]) -> list[str]:
    if isinstance(texts, str):
        raise TypeError(f"give a list of texts, such as [{texts[:40]!r}], not one text")
    listed = list(texts)
    for number, text in enumerate(listed):
        if not isinstance(text, str):
            raise TypeError(f"text {number} is {text!r}, not a string")
    return listed


def _check(folder: Path, hashes: Mapping[str, str]) -> None:
    for name, expected in hashes.items():
        file = folder / name
        if not _is_inside(file, folder):
            raise FixEnvironment(f"{ENSEMBLE_NAME} names a file outside of its folder: {name!r}.")
        if not os.path.isfile(file):
            raise FixEnvironment(f"{file} is missing; copy the ensemble/ folder as a whole.")
        if sha256_file(file) != expected:
            raise FixEnvironment(
                f"{file} is not the file that was saved (its SHA-256 differs from "
                f"{ENSEMBLE_NAME}); copy the ensemble/ folder again."
            )


def _is_inside(file: Path, folder: Path) -> bool:
    """Whether a file, its links followed, lies in the folder, which is no link itself."""
    try:
        return file.resolve().is_relative_to(folder.parent.resolve() / folder.name)
    except ValueError:  # a name with a NUL or half a surrogate
        return False
