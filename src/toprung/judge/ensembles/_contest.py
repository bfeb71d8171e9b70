"""Candidates in memory, laid out so that thousands of blends are scored in a second."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from toprung.data.metrics import measure
from toprung.judge.counts import FROM_COUNTS, count_classes
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

    def __init__(self, probabilities: Mapping[str, Floats], labels: Labels, metric: Metric) -> None:
        self.names = list(probabilities)
        self._columns = [
            np.ascontiguousarray(probabilities[name].T, dtype=np.float32) for name in self.names
        ]
        self._labels = np.asarray(labels, np.int64)
        self._rows = np.arange(len(self._labels))
        self._metric = metric

    def empty(self) -> Floats:
        """The sum of no candidates: (C, N) zeros."""
        return np.zeros_like(self._columns[0])

    def add(self, total: Floats, candidate: int) -> Floats:
        """The sum with one candidate more."""
        return np.asarray(total + self._columns[candidate], np.float32)

    def score(self, total: Floats) -> float:
        """The score of a sum; higher is better."""
        name = self._metric.name
        if name == "log_loss":
            return self._metric.score(self.log_loss(total))
        if name in FROM_COUNTS:
            counts = count_classes(self._labels, _winners(total), len(total))
            return self._metric.score(float(FROM_COUNTS[name](counts)))
        shares = total.T / total.sum(axis=0)[:, None]
        logits = np.log(np.maximum(shares, _SMALLEST))
        return self._metric.score(measure(logits, self._labels)[name])

    def log_loss(self, total: Floats) -> float:
        """Mean of minus the logarithm of the true class's share."""
        true = total[self._labels, self._rows] / total.sum(axis=0)
        return float(-np.log(np.maximum(true, _SMALLEST)).mean(dtype=np.float64))

    def best_addition(self, total: Floats, among: Sequence[int]) -> int:
        """The candidate whose addition scores best; ties by log-loss, then by name."""
        scores = {candidate: self.score(self.add(total, candidate)) for candidate in among}
        best = max(scores.values())
        tied = [candidate for candidate in among if scores[candidate] >= best - 1e-12]
        if len(tied) == 1:
            return tied[0]
        losses = {candidate: self.log_loss(self.add(total, candidate)) for candidate in tied}
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
