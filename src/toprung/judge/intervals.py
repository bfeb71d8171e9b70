"""Bootstrap intervals of a metric, and of the gain of one predictor over another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from toprung.data.metrics import log_softmax, measure
from toprung.judge.counts import FROM_COUNTS, ClassCounts
from toprung.trial.report import Metric

Floats = NDArray[np.floating]
Labels = NDArray[np.integer]
Draws = NDArray[np.float64]

_CELLS_AT_ONCE = 2_000_000


@dataclass(frozen=True)
class Interval:
    """A value and the percentile bounds that resampled rows give it."""

    value: float
    low: float
    high: float


def bootstrap(
    metric: Metric, logits: Floats, labels: Labels, *, seed: int, resamples: int = 1000
) -> Interval:
    """The metric's value on the rows, with its 95 % interval.

    Args:
        metric: any that ``measure`` knows.
        logits: (N, C).
        labels: (N,).
        seed: of the resampling; the same seed gives the same interval.
        resamples: times that N rows are drawn with replacement.

    Source: Efron 1979, "Bootstrap Methods: Another Look at the Jackknife"; percentile method.
    """
    return _interval(metric, [logits], labels, seed=seed, resamples=resamples)


def bootstrap_gain(
    metric: Metric,
    logits: Floats,
    other: Floats,
    labels: Labels,
    *,
    seed: int,
    resamples: int = 1000,
) -> Interval:
    """How much better the first is than the other on the same rows; above 0 is better.

    Both are measured on the same resampled rows. For a metric to minimise the sign is turned.
    """
    return _interval(metric, [logits, other], labels, seed=seed, resamples=resamples)


def _interval(
    metric: Metric, both: list[Floats], labels: Labels, *, seed: int, resamples: int
) -> Interval:
    """Of the one predictor's value, or of the first one's score less the second's."""
    values = [measure(logits, labels)[metric.name] for logits in both]
    chance = np.random.default_rng(seed)
    if metric.name in FROM_COUNTS:
        drawn = _by_counts(metric.name, both, labels, chance, resamples)
    elif metric.name == "log_loss":
        drawn = _by_rows(both, labels, chance, resamples)
    else:
        drawn = _by_measuring(metric.name, both, labels, chance, resamples)
    value = values[0]
    if len(both) == 2:
        value = metric.score(values[0]) - metric.score(values[1])
        drawn = drawn if metric.maximize else -drawn
    low, high = np.percentile(drawn[np.isfinite(drawn)], [2.5, 97.5])
    return Interval(float(value), float(low), float(high))


def _by_counts(
    name: str, both: list[Floats], labels: Labels, chance: np.random.Generator, resamples: int
) -> Draws:
    """Draws how often each distinct row occurs: rows with equal label and predictions are one.

    A resample of N rows is a multinomial draw over the distinct rows, which are few.
    """
    classes = both[0].shape[1]
    columns = np.stack([labels, *(logits.argmax(axis=1) for logits in both)])
    distinct, times = np.unique(columns, axis=1, return_counts=True)
    one_hot = [np.eye(classes)[column] for column in distinct]
    parts = []
    for size in _pieces(resamples, distinct.shape[1]):
        weights = chance.multinomial(len(labels), times / len(labels), size=size).astype(np.float64)
        actual = weights @ one_hot[0]
        counts = [
            ClassCounts(weights @ (one_hot[0] * shown), actual, weights @ shown)
            for shown in one_hot[1:]
        ]
        parts.append(_difference([FROM_COUNTS[name](one) for one in counts]))
    return np.concatenate(parts)


def _by_rows(
    both: list[Floats], labels: Labels, chance: np.random.Generator, resamples: int
) -> Draws:
    rows = len(labels)
    losses = [-log_softmax(logits)[np.arange(rows), labels] for logits in both]
    parts = []
    for size in _pieces(resamples, rows):
        chosen = chance.integers(rows, size=(size, rows))
        parts.append(_difference([loss[chosen].mean(axis=1) for loss in losses]))
    return np.concatenate(parts)


def _by_measuring(
    name: str, both: list[Floats], labels: Labels, chance: np.random.Generator, resamples: int
) -> Draws:
    drawn = []
    for _ in range(resamples):
        rows = chance.integers(len(labels), size=len(labels))
        values = [np.asarray(measure(x[rows], labels[rows])[name]) for x in both]
        drawn.append(_difference(values))
    return np.array(drawn)


def _difference(values: list[Draws]) -> Draws:
    return np.asarray(values[0] if len(values) == 1 else values[0] - values[1])


def _pieces(resamples: int, width: int) -> list[int]:
    """Sizes that add up to the resamples, each small enough for memory."""
    size = max(1, _CELLS_AT_ONCE // width)
    return [min(size, resamples - begun) for begun in range(0, resamples, size)]
