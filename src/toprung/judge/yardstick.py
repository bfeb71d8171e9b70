"""Baselines as trial zero of a search: learned, measured and timed like a trial."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from toprung.core.clock import Clock
from toprung.data.dataset import Dataset
from toprung.judge.baselines._base import Baseline


@dataclass(frozen=True)
class MeasuredBaseline:
    """A baseline that has learned.

    Attributes:
        metrics: on the stopping split, where trials are compared.
        seconds: that learning and measuring took.
        baseline: to predict other rows with.
    """

    name: str
    metrics: Mapping[str, float]
    seconds: float
    baseline: Baseline


def measure_baseline(
    name: str,
    baseline: Baseline,
    dataset: Dataset,
    *,
    clock: Clock,
    seed: int,
    by_class: bool = False,
) -> MeasuredBaseline:
    """Fits on the training split and measures on the stopping split; no other is looked at.

    ``by_class`` adds the recall of each class.
    """
    train, stopping = dataset.splits["train"], dataset.splits["stopping"]
    begun = clock.seconds()
    baseline.fit(train.content, train.labels, dataset.classes, seed)
    logits = baseline.logits(stopping.content)
    metrics = dataset.task.measure(logits, stopping.labels)
    if by_class:
        metrics |= dataset.task.recalls(logits, stopping.labels, dataset.label_names)
    return MeasuredBaseline(name, metrics, round(clock.seconds() - begun, 3), baseline)
