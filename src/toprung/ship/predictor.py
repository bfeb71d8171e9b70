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
from toprung.core.later import later
from toprung.data import tasks
from toprung.data.series import Content, Series, Shape
from toprung.judge.calibrate import apply_temperature
from toprung.judge.ensembles._base import blend
from toprung.ship.plain import PLAIN, PlainMember, load_baseline

ENSEMBLE_NAME = "ensemble.json"
Array = npt.NDArray[Any]

member, together = later("toprung.learn.member"), later("toprung.learn.together")
series = later("toprung.learn.series.member")


@dataclass(frozen=True)
class Prediction:
    """One row's answer.

    Attributes:
        labels: that are answered: exactly one, or any number where the task allows it.
        probabilities: of every label.
    """

    labels: tuple[str, ...]
    probabilities: Mapping[str, float]

    @property
    def label(self) -> str:
        """The one label.

        Raises:
            ValueError: there are none or several.
        """
        (only,) = self.labels
        return only


class Ensemble:
    """Members and their weights; predicts like a scikit-learn classifier.

    Attributes:
        labels: class names, in the order of probabilities.
        members: the loaded members by trial id.
        weights: by trial id; they sum to 1.
        task: what an answer is.
        thresholds: (labels,) at which a label is answered; None where the task has none.
    """

    def __init__(
        self,
        members: Mapping[str, Any],
        weights: Mapping[str, float],
        labels: Sequence[str],
        *,
        temperature: float = 1.0,
        task: str = "single_label",
        thresholds: Sequence[float] | None = None,
    ) -> None:
        self.members = dict(members)
        self.weights = dict(weights)
        self.labels = tuple(labels)
        self.temperature = temperature
        self.task = tasks.registry.get(task)()
        self.thresholds = None if thresholds is None else np.array(thresholds)

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
            load = load_baseline if (folder / PLAIN).is_file() else member.load_member
            members[entry.trial] = load(folder)
            if members[entry.trial].label_names != said.labels:
                raise _foreign(described, f"{entry.trial} knows other labels")
        weights = {entry.trial: entry.weight for entry in said.members}
        return cls(
            members,
            weights,
            said.labels,
            temperature=said.temperature,
            task=said.task,
            thresholds=said.thresholds,
        )

    @property
    def shapes(self) -> dict[str, Shape]:
        """Steps and channels of each modality that is read; none where texts are."""
        members = [m for m in self.members.values() if isinstance(m, series.SeriesMember)]
        return {name: shape for member in members for name, shape in member.shapes.items()}

    def member_logits(self, rows: Content) -> dict[str, Array]:
        """Each member's logits, shape (rows, classes), float32.

        What members share is computed once: tokens, and frozen layers of the same backbone.

        Raises:
            TypeError: one text instead of a list of texts, something that is no text, or texts
                where windows are read.
            ValueError: a window of another shape than in training, or without any modality.
        """
        content = rows if isinstance(rows, Series) else _listed(rows)
        trained = {n: m for n, m in self.members.items() if not isinstance(m, PlainMember)}
        found = together.score_together(list(trained.values()), content)
        scores = dict(zip(trained, found, strict=True))
        return {n: scores[n] if n in scores else m.logits(content) for n, m in self.members.items()}

    def predict_proba(self, rows: Content) -> Array:
        """Calibrated probabilities, shape (rows, classes).

        Rows sum to 1, unless a row may have any number of labels.

        Args:
            rows: texts as a list, an array or a column of a DataFrame; or windows.

        Raises:
            TypeError, ValueError: see ``member_logits``.
        """
        if self.task.answers == "texts":
            raise TypeError("texts are answered, which have no probabilities; call predict")
        logits = self.member_logits(rows)
        if not len(next(iter(logits.values()))):
            return np.zeros((0, len(self.labels)))
        blended = blend(logits, self.weights, self.task)
        return apply_temperature(blended, self.temperature, self.task)

    def predict(self, rows: Content) -> list[str] | list[tuple[str, ...]]:
        """The most probable label of each row; or all whose probability reaches its threshold.

        Where texts are answered, the text of each row.
        """
        found = self.predictions(rows)
        return [x.labels for x in found] if self.task.many else [x.label for x in found]

    def predictions(self, rows: Content) -> list[Prediction]:
        """Labels and probabilities of each row, as values for JSON.

        Where texts are answered, a row's one label is its text, and there are no probabilities.
        """
        if self.task.answers == "texts":
            written = blend(self.member_logits(rows), self.weights, self.task)
            return [Prediction((texts[0],), {}) for texts in written]
        probabilities = self.predict_proba(rows)
        answers = []
        decided = self.task.decide(probabilities, self.thresholds)
        for row, marks in zip(probabilities, decided, strict=True):
            named = {label: float(p) for label, p in zip(self.labels, row, strict=True)}
            chosen = tuple(label for label, mark in zip(self.labels, marks, strict=True) if mark)
            answers.append(Prediction(chosen, named))
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
    task: str
    thresholds: tuple[float, ...] | None


def _read(path: Path) -> _Described:
    """What ``ensemble.json`` says, every value of it checked: it may come from anywhere."""
    try:
        said = read_json(path)
        entries = tuple(
            _Entry(str(m["trial"]), float(m["weight"]), dict(m["files"])) for m in said["members"]
        )
        labels = tuple(map(str, said["labels"]))
        values = said.get("thresholds", {}).get("values")
        found = _Described(
            entries,
            labels,
            float(said["temperature"]),
            str(said["task"]),
            None if values is None else tuple(float(values[label]) for label in labels),
        )
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise _foreign(path, f"{type(error).__name__}: {error}") from None
    numbers = [entry.weight for entry in found.members]
    if any(Path(e.trial).name != e.trial or e.trial in ("", "..") for e in found.members):
        raise _foreign(path, "a member's name is a path")
    if not all(0 < n <= 1 for n in numbers) or not math.isclose(sum(numbers), 1, abs_tol=1e-6):
        raise _foreign(path, f"weights {numbers} do not sum to 1")
    if found.task not in tasks.registry.names():
        raise _foreign(path, f"task {found.task!r}")
    if not all(0 <= value <= 1 for value in found.thresholds or ()):
        raise _foreign(path, f"thresholds {found.thresholds}")
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
