"""How trainings went: whether they had converged, overfitted, and how steady they were."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from scipy.stats import spearmanr

from toprung.trial.config import Resource
from toprung.trial.history import History, TrialRecord
from toprung.trial.report import Metric, Report

_FEWEST_RANKED = 5


@dataclass(frozen=True)
class Ending:
    """The end of one full training.

    Attributes:
        trial: id.
        since: resource of the report nearest to two thirds of the largest.
        till: resource of the last report that scores as many held-out rows as that one.
        gain: of the score from there to then; above 0 is better.
        train_loss: at ``since`` and ``till``; None where it was not reported.
        lowest: resource and value of the lowest held-out log-loss on these rows; None likewise.
        last_loss: held-out log-loss at ``till``; None likewise.
    """

    trial: str
    since: int
    till: int
    gain: float
    train_loss: tuple[float, float] | None
    lowest: tuple[int, float] | None
    last_loss: float | None

    @property
    def overfits(self) -> bool:
        """Whether the held-out log-loss ended more than 3 % above its lowest."""
        if self.lowest is None or self.last_loss is None:
            return False
        return self.last_loss > 1.03 * self.lowest[1]


@dataclass(frozen=True)
class Agreement:
    """How far an early rung's order foretold a later one's.

    Attributes:
        low, high: resources.
        trials: that reached both.
        rho: Spearman's rank correlation.
        p_value: of it.
    """

    low: int
    high: int
    trials: int
    rho: float
    p_value: float


@dataclass(frozen=True)
class Seeds:
    """One configuration trained several times, each with another seed.

    Attributes:
        trial: the first.
        values: of the metric, of each.
    """

    trial: str
    values: tuple[float, ...]


@dataclass(frozen=True)
class Courses:
    """What is known of trainings.

    Attributes:
        endings: of trials that reached the largest resource, best first; of a plan those of its
            last phase in which any did.
        median_gain: of them; None without any.
        agreements: between rungs that enough trials reached.
        seeds: of configurations that were trained to the end several times.
    """

    endings: tuple[Ending, ...]
    median_gain: float | None
    agreements: tuple[Agreement, ...]
    seeds: tuple[Seeds, ...]


def study_courses(
    history: History, metric: Metric, resource: Resource, ladders: Iterable[Sequence[int]]
) -> Courses:
    """Looks at every trial's reports.

    Args:
        history: of the whole search.
        metric, resource: of it.
        ladders: rungs at which trials are compared, ascending; of a plan those of each phase.
    """
    records = list(history.trials.values())
    full = [record for record in records if record.resource >= (record.most or resource.max)]
    last = max((record.phase for record in full), default=0)
    full = [record for record in full if record.phase == last]
    full.sort(key=lambda record: (-_score(record, metric), record.config.trial))
    most = max((record.most or resource.max for record in full), default=0)
    endings = [end for record in full if (end := _ending(record, metric, most)) is not None]
    gains = [ending.gain for ending in endings]
    pairs = sorted({pair for ladder in ladders for pair in pairwise(ladder)})
    found = (_agreement(records, metric, low, high) for low, high in pairs)
    return Courses(
        tuple(endings),
        median(gains) if gains else None,
        tuple(agreement for agreement in found if agreement is not None),
        _seeds(records, metric),
    )


def _score(record: TrialRecord, metric: Metric) -> float:
    best = record.best(metric)
    return float("-inf") if best is None else metric.score(best.metrics[metric.name])


def _ending(record: TrialRecord, metric: Metric, most: int) -> Ending | None:
    reports = record.usable(metric)
    if len(reports) < 3 or reports[-1].resource < most:
        return None
    # Most reports look at a part of the rows, and other rows would look like progress.
    last = {_rows(report): report for report in reports}
    later = [r for r in reports if 3 * r.resource >= most and r is not last[_rows(r)]]
    since = min(later, key=lambda r: abs(r.resource - 2 * most / 3), default=None)
    if since is None:
        return None
    alike = [report for report in reports if _rows(report) == _rows(since)]
    losses = [(r.resource, r.metrics["log_loss"]) for r in alike if "log_loss" in r.metrics]
    return _compare(record.config.trial, since, alike[-1], losses, metric=metric)


def _rows(report: Report) -> float:
    return float(report.metrics.get("evaluated_rows", 0))


def _compare(
    trial: str,
    since: Report,
    last: Report,
    losses: Sequence[tuple[int, float]],
    *,
    metric: Metric,
) -> Ending:
    both = (since.metrics.get("train_loss"), last.metrics.get("train_loss"))
    return Ending(
        trial,
        since.resource,
        last.resource,
        metric.score(last.metrics[metric.name]) - metric.score(since.metrics[metric.name]),
        None if both[0] is None or both[1] is None else (float(both[0]), float(both[1])),
        min(losses, key=lambda one: one[1], default=None),
        losses[-1][1] if losses else None,
    )


def _agreement(
    records: Sequence[TrialRecord], metric: Metric, low: int, high: int
) -> Agreement | None:
    pairs = []
    for record in records:
        at = {r.resource: r.metrics[metric.name] for r in record.usable(metric)}
        if low in at and high in at:
            pairs.append((at[low], at[high]))
    first, second = [a for a, _ in pairs], [b for _, b in pairs]
    if len(pairs) < _FEWEST_RANKED or len(set(first)) < 2 or len(set(second)) < 2:
        return None
    found = spearmanr(first, second)
    return Agreement(low, high, len(pairs), float(found.statistic), float(found.pvalue))


def _seeds(records: Sequence[TrialRecord], metric: Metric) -> tuple[Seeds, ...]:
    alike: dict[str, list[float]] = {}
    for record in records:
        best = record.best(metric)
        if best is not None and (record.finalist or record.state == "completed"):
            name = record.config.trial.partition("-")[0]
            alike.setdefault(name, []).append(float(best.metrics[metric.name]))
    return tuple(Seeds(name, tuple(found)) for name, found in alike.items() if len(found) > 1)
