"""A saved ensemble, loaded to predict."""

from __future__ import annotations

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
        said = read_json(described)
        members, weights = {}, {}
        for entry in said["members"]:
            folder = root / "members" / Path(entry["trial"]).name
            _check(folder, entry["files"])
            members[entry["trial"]] = load_member(folder)
            weights[entry["trial"]] = float(entry["weight"])
        return cls(members, weights, said["labels"], temperature=float(said["temperature"]))

    def member_logits(self, texts: Sequence[str]) -> dict[str, Array]:
        """Each member's logits, shape (texts, classes), float32."""
        return {trial: member.logits(texts) for trial, member in self.members.items()}

    def predict_proba(self, texts: Sequence[str]) -> Array:
        """Calibrated probabilities, shape (texts, classes), rows summing to 1."""
        if not len(texts):
            return np.zeros((0, len(self.labels)))
        blended = blend(self.member_logits(texts), self.weights)
        return apply_temperature(blended, self.temperature)

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


def _check(folder: Path, hashes: Mapping[str, str]) -> None:
    for name, expected in hashes.items():
        file = folder / name
        if not file.resolve().is_relative_to(folder.resolve()):
            raise FixEnvironment(f"{ENSEMBLE_NAME} names a file outside of its folder: {name!r}.")
        if not file.is_file():
            raise FixEnvironment(f"{file} is missing; copy the ensemble/ folder as a whole.")
        if sha256_file(file) != expected:
            raise FixEnvironment(
                f"{file} is not the file that was saved (its SHA-256 differs from "
                f"{ENSEMBLE_NAME}); copy the ensemble/ folder again."
            )
