"""Which hyperparameters mattered: how well a forest does without each of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestRegressor
from sklearn.inspection import permutation_importance

from toprung.trial.history import TrialRecord
from toprung.trial.report import Metric
from toprung.trial.space import Scalar

_FEWEST_TRIALS = 12
_TREES, _REPEATS = 100, 10
_LOG_SPAN = 20.0


@dataclass(frozen=True)
class Importance:
    """How much of the scores' variance the forest loses without each parameter.

    Attributes:
        resource: at which all trials are compared.
        trials: that reached it.
        explained: share of the variance that the forest explains of trials that it did not see.
        parameters: name, mean share and its standard deviation over repeats; largest first.
    """

    resource: int
    trials: int
    explained: float
    parameters: tuple[tuple[str, float, float], ...]


def importance(
    records: Sequence[TrialRecord], metric: Metric, resource: int, seed: int
) -> Importance | None:
    """The permutation importance of a random forest over trials at one resource.

    All trials are compared at the same resource, the lowest rung, as later rungs saw the better
    ones only. None where fewer than 12 trials reached it, or where the forest does not predict
    trials that it did not see: then no order of the parameters means anything.

    Source: Breiman 2001, "Random Forests".
    """
    rows = [(r.config.values, at) for r in records if (at := _at(r, metric, resource)) is not None]
    if len(rows) < _FEWEST_TRIALS:
        return None
    names = varied([values for values, _ in rows])
    scores = np.array([score for _, score in rows])
    if not names or scores.std() == 0:
        return None
    features = np.column_stack([encode([values.get(n) for values, _ in rows]) for n in names])
    forest = RandomForestRegressor(
        _TREES, oob_score=True, random_state=seed, min_samples_leaf=2, max_features=0.6
    ).fit(features, scores)
    explained = float(forest.oob_score_)
    if explained <= 0.05:
        return None
    found = permutation_importance(forest, features, scores, n_repeats=_REPEATS, random_state=seed)
    means = np.maximum(found.importances_mean, 0.0)
    total = means.sum()
    if total == 0:
        return None
    triples = zip(names, means / total, found.importances_std / total, strict=True)
    ordered = sorted(triples, key=lambda one: (-one[1], one[0]))
    return Importance(
        resource,
        len(rows),
        explained,
        tuple((name, float(share), float(spread)) for name, share, spread in ordered),
    )


def varied(values: Sequence[Mapping[str, Scalar]]) -> list[str]:
    """The parameters that differ between configurations, in their order.

    >>> varied([{"a": 1, "b": 2}, {"a": 1, "b": 3, "c": 0}])
    ['b', 'c']
    """
    names = dict.fromkeys(name for one in values for name in one)
    return [n for n in names if len({repr(one.get(n)) for one in values}) > 1]


def encode(values: Sequence[Scalar]) -> NDArray[np.float64]:
    """Values as numbers: logarithms where they span decades, places for words; absent is -1."""
    numbers = [v for v in values if _is_number(v)]
    if all(v is None or _is_number(v) for v in values) and numbers:
        floats = [float(v) for v in numbers if v is not None]
        low, high = min(floats), max(floats)
        log = low > 0 and high / low > _LOG_SPAN
        scaled = [math.log(f) if log else f for f in floats]
        least, span = min(scaled), (max(scaled) - min(scaled)) or 1.0
        places = iter((s - least) / span for s in scaled)
        return np.array([-1.0 if v is None else next(places) for v in values])
    known = sorted({str(v) for v in values if v is not None})
    return np.array([-1.0 if v is None else float(known.index(str(v))) for v in values])


def _at(record: TrialRecord, metric: Metric, resource: int) -> float | None:
    found = (r.metrics[metric.name] for r in record.usable(metric) if r.resource == resource)
    value = next(found, None)
    return None if value is None else metric.score(float(value))


def _is_number(value: Scalar) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
