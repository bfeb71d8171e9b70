"""Which configurations are trained for the ensemble: good ones that err on different rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from toprung.data.tasks._base import Task
from toprung.judge.leaderboard import Row
from toprung.trial.history import TrialRecord
from toprung.trial.record import on_most_rows
from toprung.trial.report import Metric, Report
from toprung.trial.space import Values

_POOL_FACTOR = 3


@dataclass(frozen=True)
class Finalist:
    """A configuration chosen for the ensemble, and why in words."""

    trial: str
    reason: str


def choose_finalists(
    rows: Sequence[Row],
    logits: Mapping[str, NDArray[np.floating]],
    count: int,
    *,
    task: Task,
    penalty: float = 0.3,
) -> list[Finalist]:
    """Chooses configurations one by one: the best first, then by score less similarity.

    Candidates are the best ``3 * count`` sound trials of the leaderboard. Each has a worth from
    0 (the worst of them) to 1 (the best), below -1 where it misses the metric's floor, so that
    those come after all others, who misses least first; from the worth goes ``penalty`` times its
    similarity, from 0 to 1, to the most similar one already chosen. Similarity is the mean of two
    shares: of rows on which both answer the same, stretched so that the least alike pair of
    candidates has 0 and equal predictions 1, and of choices (backbone, adapter, pooling, loss,
    ...) that are equal. Where predictions are missing, the choices alone count. Ties fall to the
    better rank.

    Trials that were ended for a symptom are chosen only where there are no others.

    Args:
        rows: of the leaderboard, best first.
        logits: (N, C) of trials on the stopping split.
        count: most finalists.
        task: of the search.
        penalty: 0 chooses by score alone.
    """
    pool = candidates(rows, count)
    if not pool:
        return []
    worth = _worths(pool)
    alike = _similarities(pool, logits, task)
    chosen = [0]
    reasons = [f"rank {pool[0].rank}: the best score"]
    while len(chosen) < min(count, len(pool)):
        left = [i for i in range(len(pool)) if i not in chosen]
        closest = {i: max(float(alike[i, j]) for j in chosen) for i in left}
        picked = max(left, key=lambda i: (worth[i] - penalty * closest[i], -i))
        chosen.append(picked)
        reasons.append(
            f"rank {pool[picked].rank}: worth {worth[picked]:.2f}, "
            f"similarity to those before {closest[picked]:.2f}"
        )
    return [Finalist(pool[i].trial, reason) for i, reason in zip(chosen, reasons, strict=True)]


_OUT = ("baseline", "diverged", "failed")


def candidates(rows: Sequence[Row], count: int) -> list[Row]:
    """The rows that ``count`` finalists are chosen among, best first."""
    able = [r for r in rows if r.score is not None and r.state not in _OUT]
    sound = [r for r in able if not r.is_cut_by_diagnosis] or able
    # A further seed of a configuration (t0003-s1) is not another configuration.
    return [row for row in sound if "-s" not in row.trial][: _POOL_FACTOR * count]


def member_report(record: TrialRecord, metric: Metric) -> Report | None:
    """The report whose weights a trial gives to an ensemble: its best of those that can.

    That are the ones with a checkpoint and with scores of as many held-out rows as any of them.
    In a plan the floor of the trial's own phase counts, by which its checkpoints were kept.
    """
    if record.phase:
        metric = replace(metric, floor=record.floor)
    named = [report for report in record.usable(metric) if report.checkpoint is not None]
    whole = on_most_rows(named)
    return max(whole, key=lambda report: metric.rate(report.metrics), default=None)


def shared_choices(one: Values, other: Values) -> float:
    """The share of choices with equal values; a choice that only one has counts as different.

    >>> shared_choices({"adapter": "lora", "loss": "focal"}, {"adapter": "lora", "loss": "x"})
    0.5
    """
    first, second = _choices(one), _choices(other)
    names = first.keys() | second.keys()
    if not names:
        return 0.0
    return sum(first.get(name) == second.get(name) for name in names) / len(names)


def _choices(values: Values) -> Values:
    """What is chosen rather than tuned: text, truth values, and the depth of a backbone."""
    return {k: v for k, v in values.items() if isinstance(v, str | bool) or k.endswith(".depth")}


def _worths(pool: Sequence[Row]) -> list[float]:
    """Of rows with scores, best first: those that miss the floor stand last."""
    scores = [row.score for row in pool if row.score is not None and not row.missing]
    behind = len(pool) - len(scores)
    span = scores[0] - scores[-1] if scores else 0.0
    worths = [(score - scores[-1]) / span if span else 1.0 for score in scores]
    return [*worths, *(-1 - place / behind for place in range(1, behind + 1))]


def _similarities(
    pool: Sequence[Row], logits: Mapping[str, NDArray[np.floating]], task: Task
) -> NDArray[np.float64]:
    predicted = {
        row.trial: task.decide(task.probabilities(logits[row.trial]))
        for row in pool
        if row.trial in logits
    }
    size = len(pool)
    agreement = np.full((size, size), np.nan)
    family = np.ones((size, size))
    for i, one in enumerate(pool):
        for j, other in enumerate(pool[:i]):
            family[i, j] = family[j, i] = shared_choices(one.values, other.values)
            if one.trial in predicted and other.trial in predicted:
                same = np.mean((predicted[one.trial] == predicted[other.trial]).all(axis=1))
                agreement[i, j] = agreement[j, i] = same
    known = np.isfinite(agreement)
    if not known.any():
        return family
    least = float(agreement[known].min())
    stretched = (agreement - least) / (1 - least) if least < 1 else np.ones_like(agreement)
    return np.where(known, (stretched + family) / 2, family)
