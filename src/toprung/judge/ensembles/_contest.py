"""Candidates in memory, laid out so that thousands of blends are scored in a second."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from toprung.data.tasks._base import Task
from toprung.judge.counts import FROM_COUNTS, ClassCounts, count_classes
from toprung.judge.ensembles._base import Floats, Labels
from toprung.trial.report import Metric

_SMALLEST = 1e-12


class Contest:
    """Scores blends of candidates: sums of their probabilities, divided by how many they are.

    Probabilities are held class by class, (C, N), so that the winner of each row is found with
    C comparisons of whole vectors instead of N short searches.

    Attributes:
        names: of the candidates, sorted.
    """

    def __init__(
        self, probabilities: Mapping[str, Floats], labels: Labels, metric: Metric, task: Task
    ) -> None:
        self.names = list(probabilities)
        self._columns = [
            np.ascontiguousarray(probabilities[name].T, dtype=np.float32) for name in self.names
        ]
        self._labels = np.asarray(labels, np.int64)
        self._rows = np.arange(len(self._labels))
        self._metric = metric
        self._task = task
        self._marks = task.marks(self._labels, len(self._columns[0])).T

    def empty(self) -> Floats:
        """The sum of no candidates: (C, N) zeros."""
        return np.zeros_like(self._columns[0])

    def add(self, total: Floats, candidate: int) -> Floats:
        """The sum with one candidate more."""
        return np.asarray(total + self._columns[candidate], np.float32)

    def score(self, total: Floats, picks: int) -> float:
        """The score of a sum of so many candidates; higher is better."""
        name = self._metric.name
        if name == "log_loss":
            return self._metric.score(self.log_loss(total, picks))
        if name in FROM_COUNTS:
            return self._metric.score(float(FROM_COUNTS[name](self._counts(total / picks))))
        logits = self._task.logits(total.T / picks)
        return self._metric.score(self._task.measure(logits, self._labels)[name])

    def log_loss(self, total: Floats, picks: int) -> float:
        """Mean of minus the logarithm of what the true answers are given."""
        if self._task.many:
            return float(
                self._task.row_losses(self._task.logits(total.T / picks), self._labels).mean()
            )
        true = total[self._labels, self._rows] / total.sum(axis=0)
        return float(-np.log(np.maximum(true, _SMALLEST)).mean(dtype=np.float64))

    def _counts(self, shares: Floats) -> ClassCounts:
        if not self._task.many:
            return count_classes(self._labels, _winners(shares), len(shares))
        answered = shares >= 0.5
        parts = (answered & self._marks, self._marks, answered)
        return ClassCounts(*(part.sum(axis=1).astype(np.float64) for part in parts))

    def best_addition(self, total: Floats, picks: int, among: Sequence[int]) -> int:
        """The candidate whose addition to so many scores best; ties by log-loss, then by name."""
        after = picks + 1
        scores = {c: self.score(self.add(total, c), after) for c in among}
        best = max(scores.values())
        tied = [candidate for candidate in among if scores[candidate] >= best - 1e-12]
        if len(tied) == 1:
            return tied[0]
        losses = {c: self.log_loss(self.add(total, c), after) for c in tied}
        return min(tied, key=lambda candidate: (losses[candidate], self.names[candidate]))


def _winners(total: Floats) -> NDArray[np.int64]:
    """(N,) the class with the largest value of (C, N); the first among equals."""
    best = total[0].copy()
    winner = np.zeros(total.shape[1], np.int64)
    for number in range(1, len(total)):
        ahead = total[number] > best
        np.copyto(best, total[number], where=ahead)
        winner[ahead] = number
    return winner
