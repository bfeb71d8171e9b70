"""Bootstrap intervals of a metric, and of the gain of one predictor over another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from toprung.data.tasks._base import Labels, Task
from toprung.judge.counts import FROM_COUNTS, ClassCounts
from toprung.trial.report import Metric

Floats = NDArray[np.floating]
Draws = NDArray[np.float64]

_CELLS_AT_ONCE = 2_000_000


@dataclass(frozen=True)
class Interval:
    """A value and the percentile bounds that resampled rows give it."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Answers:
    """What one predictor says of rows.

    Attributes:
        logits: (N, C).
        thresholds: (C,) of the task's decisions; None where it has none of its own.
    """

    logits: Floats
    thresholds: Floats | None = None


@dataclass(frozen=True)
class Judge:
    """Measures answers about the same rows, each on the same resampled rows.

    Attributes:
        task: of the search.
        labels: of N rows.
        seed: of the resampling; the same seed gives the same interval.
        resamples: times that N rows are drawn with replacement.

    Source: Efron 1979, "Bootstrap Methods: Another Look at the Jackknife"; percentile method.
    """

    task: Task
    labels: Labels
    seed: int
    resamples: int = 1000
    _known: dict[Answers, dict[str, float]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def measure(self, answers: Answers) -> dict[str, float]:
        """Every metric of the task; of the same answers measured once."""
        if answers not in self._known:
            found = self.task.measure(answers.logits, self.labels, answers.thresholds)
            self._known[answers] = found
        return self._known[answers]

    def interval(self, metric: Metric, answers: Answers) -> Interval:
        """The metric's value on the rows, with its 95 % interval."""
        return _interval(self, metric, [answers])

    def gain(self, metric: Metric, answers: Answers, other: Answers) -> Interval:
        """How much better the first is than the other on the same rows; above 0 is better.

        Both are measured on the same resampled rows. For a metric to minimise the sign is turned.
        """
        return _interval(self, metric, [answers, other])


def _interval(judge: Judge, metric: Metric, both: list[Answers]) -> Interval:
    """Of the one predictor's value, or of the first one's score less the second's."""
    values = [judge.measure(answers)[metric.name] for answers in both]
    chance = np.random.default_rng(judge.seed)
    if metric.name in FROM_COUNTS:
        drawn = _by_counts(judge, FROM_COUNTS[metric.name], both, chance)
    elif (rows := _row_values(judge, metric.name, both)) is not None:
        drawn = _by_rows(judge, rows, chance)
    elif metric.name in _OF_ROWS:
        drawn = _by_rows(judge, [_OF_ROWS[metric.name](judge, x) for x in both], chance)
    elif metric.name in _OF_RANKS:
        drawn = _by_ranks(judge, _OF_RANKS[metric.name], both, chance)
    else:
        drawn = _by_measuring(judge, metric.name, both, chance)
    value = values[0]
    if len(both) == 2:
        value = metric.score(values[0]) - metric.score(values[1])
        drawn = drawn if metric.maximize else -drawn
    known = drawn[np.isfinite(drawn)]
    # Rows of one class alone, say, leave nothing that could be drawn otherwise.
    low, high = np.percentile(known, [2.5, 97.5]) if len(known) else (value, value)
    return Interval(float(value), float(low), float(high))


def _by_counts(
    judge: Judge,
    metric: Callable[[ClassCounts], Draws],
    both: list[Answers],
    chance: np.random.Generator,
) -> Draws:
    """Draws how often each distinct row occurs: rows with equal label and predictions are one.

    A resample of N rows is a multinomial draw over the distinct rows, which are few.
    """
    classes = both[0].logits.shape[1]
    marks = [judge.task.marks(judge.labels, classes), *(_decided(judge, x) for x in both)]
    packed = np.packbits(np.concatenate(marks, axis=1), axis=1)
    _, first, times = np.unique(packed, axis=0, return_index=True, return_counts=True)
    actual_marks, *shown_marks = (found[first].astype(np.float64) for found in marks)
    parts = []
    for size in _pieces(judge.resamples, len(first)):
        weights = chance.multinomial(len(judge.labels), times / times.sum(), size=size)
        weights = weights.astype(np.float64)
        actual = weights @ actual_marks
        counts = [
            ClassCounts(weights @ (actual_marks * shown), actual, weights @ shown)
            for shown in shown_marks
        ]
        parts.append(_difference([metric(one) for one in counts]))
    return np.concatenate(parts)


def _decided(judge: Judge, answers: Answers) -> NDArray[np.bool_]:
    probabilities = judge.task.probabilities(answers.logits)
    return judge.task.decide(probabilities, answers.thresholds)


def _losses(judge: Judge, answers: Answers) -> Floats:
    return judge.task.row_losses(answers.logits, judge.labels)


def _exact(judge: Judge, answers: Answers) -> Floats:
    decided = _decided(judge, answers)
    marks = judge.task.marks(judge.labels, decided.shape[1])
    return np.asarray((decided == marks).all(axis=1), np.float64)


_OF_ROWS: Mapping[str, Callable[[Judge, Answers], Floats]] = MappingProxyType(
    {"log_loss": _losses, "subset_accuracy": _exact}
)
"""Metrics that are a mean over rows, as their values by row."""


def _row_values(judge: Judge, name: str, both: list[Answers]) -> list[Floats] | None:
    """Values of rows whose mean the metric is, where the task gives them."""
    found = [judge.task.row_values(name, x.logits, judge.labels) for x in both]
    known = [values for values in found if values is not None]
    return known if len(known) == len(both) else None


def _by_rows(judge: Judge, values: list[Floats], chance: np.random.Generator) -> Draws:
    rows = len(judge.labels)
    parts = []
    for size in _pieces(judge.resamples, rows):
        chosen = chance.integers(rows, size=(size, rows))
        parts.append(_difference([value[chosen].mean(axis=1) for value in values]))
    return np.concatenate(parts)


@dataclass(frozen=True)
class _Ranks:
    """What R resamples find from the best row down, at the P places where a positive row stands.

    Attributes:
        positive: (P, R) positive rows at the place; rows that score alike share one.
        found: (P, R) positive rows up to the place.
        before: (P, R) rows before the place.
        shown: (P, R) rows up to the place.
        rows: of each resample.
    """

    positive: Draws
    found: Draws
    before: NDArray[np.int32]
    shown: NDArray[np.int32]
    rows: int

    @classmethod
    def of(cls, scores: Floats, marks: NDArray[np.bool_], weights: NDArray[np.integer]) -> _Ranks:
        """From (N,) scores and marks of positive rows, and how often (N, R) a row was drawn."""
        order = np.argsort(-scores, kind="stable")
        ordered, hits = scores[order], np.flatnonzero(marks[order])
        ends = np.flatnonzero(np.append(ordered[1:] < ordered[:-1], True))
        # The place of each positive row, and the first such row of each place.
        places, firsts = np.unique(np.searchsorted(ends, hits), return_index=True)
        positive = np.add.reduceat(weights[order[hits]], firsts, axis=0).astype(np.float64)
        total = np.zeros((len(scores) + 1, weights.shape[1]), np.int32)
        np.cumsum(weights[order], axis=0, out=total[1:])
        starts = np.append(0, ends + 1)[places]
        before, shown = total[starts], total[ends[places] + 1]
        return cls(positive, np.cumsum(positive, axis=0), before, shown, len(scores))

    def auc(self) -> Draws:
        """(R,) share of pairs in the right order, ties counting half."""
        missed = self.before - (self.found - self.positive)
        beside = self.shown - self.before - self.positive
        negative = self.rows - self.found[-1]
        behind = negative - missed - beside / 2
        return np.asarray((self.positive * behind).sum(axis=0) / (self.found[-1] * negative))

    def average_precision(self) -> Draws:
        """(R,) precision at each place, weighed by its positive rows."""
        precision = self.found / np.maximum(self.shown, 1)
        return np.asarray((self.positive * precision).sum(axis=0) / self.found[-1])


_OF_RANKS: Mapping[str, Callable[[_Ranks], Draws]] = MappingProxyType(
    {"macro_auc": _Ranks.auc, "macro_average_precision": _Ranks.average_precision}
)
"""Means over classes of what the order of the rows gives."""


def _by_ranks(
    judge: Judge,
    metric: Callable[[_Ranks], Draws],
    both: list[Answers],
    chance: np.random.Generator,
) -> Draws:
    """Weighs the rows of every resample, which are in order once and for all."""
    rows, classes = both[0].logits.shape
    marks = judge.task.marks(judge.labels, classes)
    # Where classes exclude each other, a class's own logit alone does not rank the rows.
    ranked = [x.logits if judge.task.many else judge.task.log_probabilities(x.logits) for x in both]
    parts = []
    for size in _pieces(judge.resamples, rows):
        chosen = chance.integers(rows, size=(size, rows)) + rows * np.arange(size)[:, None]
        drawn = np.bincount(chosen.ravel(), minlength=size * rows).reshape(size, rows)
        weights = np.ascontiguousarray(drawn.T, dtype=np.int32)
        found = [
            np.stack([_rank(metric, one[:, c], marks[:, c], weights) for c in range(classes)])
            for one in ranked
        ]
        # A class of which a resample has one kind of rows only says nothing there.
        parts.append(_difference([_mean_known(one) for one in found]))
    return np.concatenate(parts)


def _rank(
    metric: Callable[[_Ranks], Draws],
    scores: Floats,
    marks: NDArray[np.bool_],
    weights: NDArray[np.integer],
) -> Draws:
    values = np.full(weights.shape[1], np.nan)
    positive = weights[marks].sum(axis=0)
    known = (positive > 0) & (positive < len(scores))
    if known.any():
        with np.errstate(invalid="ignore"):
            values[known] = metric(_Ranks.of(scores, marks, weights))[known]
    return values


def _mean_known(values: Draws) -> Draws:
    known = np.isfinite(values)
    total = np.where(known, values, 0.0).sum(axis=0)
    return np.asarray(
        np.divide(
            total, known.sum(axis=0), out=np.full(len(total), np.nan), where=known.any(axis=0)
        )
    )


def _by_measuring(
    judge: Judge, name: str, both: list[Answers], chance: np.random.Generator
) -> Draws:
    drawn = []
    rows = len(judge.labels)
    for _ in range(judge.resamples):
        chosen = chance.integers(rows, size=rows)
        labels = judge.labels[chosen]
        values = [
            np.asarray(judge.task.measure(x.logits[chosen], labels, x.thresholds)[name])
            for x in both
        ]
        drawn.append(_difference(values))
    return np.array(drawn)


def _difference(values: list[Draws]) -> Draws:
    return np.asarray(values[0] if len(values) == 1 else values[0] - values[1])


def _pieces(resamples: int, width: int) -> list[int]:
    """Sizes that add up to the resamples, each small enough for memory."""
    size = max(1, _CELLS_AT_ONCE // width)
    return [min(size, resamples - begun) for begun in range(0, resamples, size)]
