"""Summarisation: a short text for a long one, judged by ROUGE."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toprung.data.answers import as_texts
from toprung.data.rouge import ROUGE, agreement, score_rows
from toprung.data.tasks._base import Floats, Label, Labels, Marks, Task
from toprung.trial.report import Metric


@dataclass(frozen=True)
class Summarization(Task):
    """A short text for each long one; there are no classes.

    Labels are (N,) tuples of references, answers (N,) tuples of candidates, the best one first;
    both stand in the place of arrays of numbers. A metric is the mean over the rows of the F1
    against the best reference.

    >>> task = Summarization()
    >>> truth = task.encode([("a b", "c d"), ("e",)], ())
    >>> found = task.measure(as_texts([["c d", "x"], ["f"]]), truth)
    >>> found["rouge1"], found["rouge2"]
    (0.5, 0.5)
    """

    losses = ("token_cross_entropy",)
    metrics = MappingProxyType({name: Metric(name) for name in ROUGE})
    default_metric = "rouge1"
    splits = ("stopping", "selection")
    text_column = "dialogue"
    label_column = "summary"
    references_column = "summaries"
    answers = "texts"

    def encode(self, rows: Sequence[Label], names: Sequence[str]) -> Labels:
        return as_texts([(row,) if isinstance(row, str) else row for row in rows])

    def marks(self, labels: Labels, classes: int) -> Marks:
        return np.zeros((len(labels), classes), dtype=bool)

    def strata(self, labels: Labels) -> Labels:
        return np.zeros(len(labels), dtype=np.int64)

    def targets(self, labels: Labels) -> NDArray[np.int64] | NDArray[np.float32]:
        """Nothing: a loss is given the probabilities of the target's tokens."""
        return np.zeros(len(labels), dtype=np.int64)

    def log_probabilities(self, logits: Floats) -> Floats:
        raise TypeError("texts have no probabilities of classes")

    def logits(self, probabilities: Floats) -> Floats:
        return probabilities

    def probabilities(self, logits: Floats) -> Floats:
        """The candidates, as they are."""
        return logits

    def decide(self, probabilities: Floats, thresholds: Floats | None = None) -> Any:
        """(N, 1) the texts that are answered."""
        found = np.empty((len(probabilities), 1), dtype=object)
        found[:, 0] = _firsts(probabilities)
        return found

    def row_losses(self, logits: Floats, labels: Labels) -> Floats:
        return np.asarray(1.0 - self.row_values("rouge1", logits, labels))

    def row_values(self, metric: str, logits: Floats, labels: Labels) -> Floats:
        return self._scores(logits, labels)[:, ROUGE.index(metric)]

    def agree(self, one: str, other: str) -> float:
        return agreement(one, other)

    def measure(
        self, logits: Floats, labels: Labels, thresholds: Floats | None = None
    ) -> dict[str, float]:
        if not len(labels):
            raise ValueError("there are no rows")
        means = self._scores(logits, labels).mean(axis=0)
        return dict(zip(ROUGE, map(float, means), strict=True))

    def _scores(self, answers: Any, references: Any) -> NDArray[np.float64]:
        if len(answers) != len(references):
            raise ValueError(f"{len(answers)} answers to {len(references)} rows")
        return score_rows(_firsts(answers), list(references))


def _firsts(answers: Any) -> list[str]:
    return [candidates[0] for candidates in answers]
