"""The contract of a task: labels, scores, decisions and metrics, all without torch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from toprung.trial.report import RECALL, Metric

Floats = NDArray[np.floating]
Labels = NDArray[np.int64]
Marks = NDArray[np.bool_]
Label = str | tuple[str, ...]
"""A row's class, or its classes in sorted order, as the files say it."""


class Task(ABC):
    """What a model answers about a row, and how good an answer is.

    Scores are logits (N, C). Labels are an array with a row for each row; ``marks`` says which
    classes they mean, so that everything counted by class is the same for all tasks.
    """

    losses: tuple[str, ...]
    """Names of the losses that fit, the default first."""
    metrics: Mapping[str, Metric]
    """Every metric that ``measure`` gives."""
    default_metric: str
    splits: tuple[str, ...]
    """What validation is parted into; scores of all of them are kept."""
    label_column: str
    """Name of the column of labels where the spec names none."""
    text_column: str = "text"
    """Name of the column of texts where the spec names none."""
    references_column: str | None = None
    """Name of the column that holds a list of labels, where a file has it."""
    many: bool = False
    """Whether a row may have any number of labels; each class then has a threshold."""
    reads: Literal["texts", "series"] = "texts"
    """What a row is: a text, or a window of several modalities."""
    answers: Literal["classes", "texts"] = "classes"
    """What is answered: classes, by scores; or texts, of which candidates stand for scores."""

    @abstractmethod
    def encode(self, rows: Sequence[Label], names: Sequence[str]) -> Labels:
        """Labels of rows as numbers.

        Args:
            rows: classes of N rows.
            names: of the C classes.
        """

    @abstractmethod
    def marks(self, labels: Labels, classes: int) -> Marks:
        """(N, C) whether a row has a class."""

    @abstractmethod
    def strata(self, labels: Labels) -> Labels:
        """(N,) one whole number a row; rows of equal numbers are spread evenly."""

    @abstractmethod
    def targets(self, labels: Labels) -> NDArray[np.int64] | NDArray[np.float32]:
        """Labels as the losses take them, rows first."""

    @abstractmethod
    def log_probabilities(self, logits: Floats) -> Floats:
        """(N, C) logarithms, in 64 bits, of what a class's logit says."""

    @abstractmethod
    def logits(self, probabilities: Floats) -> Floats:
        """(N, C) finite logits whose probabilities these are."""

    @abstractmethod
    def decide(self, probabilities: Floats, thresholds: Floats | None = None) -> Marks:
        """(N, C) the classes that are answered.

        Args:
            probabilities: (N, C).
            thresholds: (C,), where the task has any; None takes 0.5.
        """

    @abstractmethod
    def row_losses(self, logits: Floats, labels: Labels) -> Floats:
        """(N,) minus the logarithm of the probability of the true labels, in nats."""

    @abstractmethod
    def measure(
        self, logits: Floats, labels: Labels, thresholds: Floats | None = None
    ) -> dict[str, float]:
        """Every metric of ``metrics``.

        Raises:
            ValueError: no rows, or shapes that do not agree.
        """

    def recalls(self, logits: Floats, labels: Labels, names: Sequence[str]) -> dict[str, float]:
        """The recall of each class that these rows have, as metrics named ``recall.<class>``."""
        marks = self.marks(labels, len(names))
        found = (self.decide(self.probabilities(logits)) & marks).sum(axis=0)
        there = marks.sum(axis=0)
        return {
            f"{RECALL}{name}": float(found[c] / there[c])
            for c, name in enumerate(names)
            if there[c]
        }

    def probabilities(self, logits: Floats) -> Floats:
        """(N, C) in 64 bits."""
        return np.asarray(np.exp(self.log_probabilities(logits)))

    def row_values(self, metric: str, logits: Floats, labels: Labels) -> Floats | None:
        """(N,) values whose mean over rows the metric is; None where it is no such mean."""
        return None

    def agree(self, one: str, other: str) -> float:
        """How far two answers that are texts say the same, from 0 to 1."""
        return float(one == other)
