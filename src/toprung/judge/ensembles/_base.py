"""The contract of an ensemble method, and what all of them need."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, cast

import numpy as np
from numpy.typing import NDArray

from toprung.core.errors import GiveUp
from toprung.data.answers import as_texts
from toprung.data.tasks._base import Task
from toprung.judge.consensus import choose_texts
from toprung.trial.report import Metric

Floats = NDArray[np.floating]
Labels = NDArray[np.integer]


@dataclass(frozen=True, kw_only=True)
class Ensemble(ABC):
    """A method that weighs trained candidates by their predictions on the selection split.

    Attributes:
        candidates: configurations that are trained to the full resource for it.
        seeds: times each of them is trained, with another seed.
        rows: ``train``, or ``all`` to train on the rows that ``train_rows`` left out as well.
        answers: what it chooses among: ``classes``, or ``texts``.
    """

    candidates: int = 8
    seeds: int = 1
    rows: Literal["train", "all"] = "train"
    answers: ClassVar[str] = "classes"

    def __post_init__(self) -> None:
        for name in ("candidates", "seeds", "members"):
            value = getattr(self, name, 1)
            if value < 1:
                raise ValueError(f"{name}: {value} is below 1.")
        if self.rows not in ("train", "all"):
            raise ValueError(f"rows: {self.rows!r} is neither 'train' nor 'all'.")

    @abstractmethod
    def weigh(
        self, logits: Mapping[str, Floats], labels: Labels, metric: Metric, task: Task
    ) -> dict[str, float]:
        """The members' weights: above 0, summing to 1, largest first.

        Args:
            logits: (N, C) of each candidate on the selection split.
            labels: of that split, as the task encodes them.
            metric: that the search ranks by.
            task: of the search.

        Raises:
            GiveUp: no candidate has usable predictions.
        """


@dataclass(frozen=True, kw_only=True)
class Blend(Ensemble):
    """A method whose members' probabilities are added, so that a baseline's can be as well.

    Attributes:
        baselines: whether the baselines that can join take part, each with the share that scores
            best; see ``mix_in``.
    """

    baselines: bool = False


def usable_probabilities(logits: Mapping[str, Floats], task: Task) -> dict[str, Floats]:
    """Probabilities of every candidate whose logits are all finite, by name in sorted order.

    Raises:
        GiveUp: there is none.
    """
    found: dict[str, Floats] = {
        name: task.probabilities(logits[name])
        for name in sorted(logits)
        if _is_finite(logits[name])
    }
    if not found:
        raise GiveUp(
            "No candidate of the ensemble has usable predictions: "
            + (", ".join(sorted(logits)) + " gave NaN or infinity." if logits else "there is none.")
        )
    return found


def blend(logits: Mapping[str, Floats], weights: Mapping[str, float], task: Task) -> Floats:
    """The ensemble's probabilities (N, C): the weighted sum of the members'.

    Of candidate texts, the one that agrees most with the others; see ``choose_texts``.

    >>> from toprung.data.tasks.single_label import SingleLabel
    >>> logits = {"a": np.array([[0.0, 0.0]]), "b": np.array([[50.0, 0.0]])}
    >>> blend(logits, {"a": 0.5, "b": 0.5}, SingleLabel()).round(2).tolist()
    [[0.75, 0.25]]
    """
    if task.answers == "texts":
        chosen = choose_texts(logits, weights, task.agree)
        return cast(Floats, as_texts([(text,) for text in chosen]))
    parts = [weight * task.probabilities(logits[name]) for name, weight in weights.items()]
    return np.asarray(np.sum(parts, axis=0))


def _is_finite(logits: Floats) -> bool:
    return bool(logits.size) and bool(np.isfinite(logits).all())
