"""Metrics of single-label classification, by name, each with its direction."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from toprung.core.later import later
from toprung.core.registry import nearest
from toprung.trial.report import Metric

scores_of = later("sklearn.metrics")

METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        name: Metric(name, maximize=name != "log_loss")
        for name in (
            "accuracy",
            "macro_f1",
            "weighted_f1",
            "macro_precision",
            "macro_recall",
            "log_loss",
        )
    }
)


def metric(name: str) -> Metric:
    """The metric of that name, with its direction.

    Raises:
        KeyError: no metric of that name; the message names the nearest and all known ones.

    >>> metric("log_loss").maximize
    False
    """
    if name not in METRICS:
        raise KeyError(f"no metric '{name}'. {nearest(name, list(METRICS))}")
    return METRICS[name]


def log_softmax(logits: ArrayLike) -> NDArray[np.float64]:
    """The logarithm of each row's probabilities, (N, C) → (N, C), in 64 bits."""
    values = np.asarray(logits, dtype=np.float64)
    shifted = values - values.max(axis=-1, keepdims=True)
    result: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return result


def softmax(logits: ArrayLike) -> NDArray[np.float64]:
    """Each row's probabilities, (N, C) → (N, C), in 64 bits; shifted so that none overflows.

    >>> softmax([[1000.0, 1000.0]]).tolist()
    [[0.5, 0.5]]
    """
    result: NDArray[np.float64] = np.exp(log_softmax(logits))
    return result


def measure(logits: ArrayLike, labels: ArrayLike) -> dict[str, float]:
    """Every metric of ``METRICS`` for the rows' scores.

    A class is averaged over whether or not it stands in these rows; where it was neither
    predicted nor present, its precision, recall and F1 count as 0. The log loss is the mean
    negative log-probability of the true class, in nats. Logits that are not finite give a
    log loss of NaN, which the door for reports takes for divergence.

    Args:
        logits: (N, C), any real scores; the class is the first highest of a row.
        labels: (N,), whole numbers in [0, C).

    Raises:
        ValueError: no rows, shapes that do not agree, or a label outside of [0, C).

    >>> measure([[2.0, 0.0], [0.0, 2.0]], [0, 0])["accuracy"]
    0.5
    """
    scores = np.asarray(logits, dtype=np.float64)
    truth = np.asarray(labels, dtype=np.int64)
    if scores.ndim != 2 or truth.shape != scores.shape[:1] or not len(truth):
        raise ValueError(f"logits {scores.shape} and labels {truth.shape} are not (N, C) and (N,)")
    classes = scores.shape[1]
    if truth.min() < 0 or truth.max() >= classes:
        raise ValueError(f"a label is outside of 0 to {classes - 1}")
    predicted = scores.argmax(axis=1)
    known = list(range(classes))
    averages = {
        average: scores_of.precision_recall_fscore_support(
            truth, predicted, labels=known, average=average, zero_division=0
        )
        for average in ("macro", "weighted")
    }
    if np.isfinite(scores).all():
        loss = -log_softmax(scores)[np.arange(len(truth)), truth].mean()
    else:
        loss = np.nan
    return {
        "accuracy": float(scores_of.accuracy_score(truth, predicted)),
        "macro_f1": float(averages["macro"][2]),
        "weighted_f1": float(averages["weighted"][2]),
        "macro_precision": float(averages["macro"][0]),
        "macro_recall": float(averages["macro"][1]),
        "log_loss": float(loss),
    }
