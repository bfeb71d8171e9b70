"""The test split's verdict: ensemble, best single trial and baselines on the same rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from toprung.core.files import write_csv
from toprung.core.seeds import derive_seed
from toprung.data.tasks._base import Labels, Task
from toprung.judge.intervals import Answers, Interval, Judge
from toprung.trial.report import Metric

ENSEMBLE, BEST_TRIAL = "ensemble", "best_trial"


@dataclass(frozen=True, eq=False)
class Contender:
    """One predictor's answers on the test split.

    Attributes:
        who: ``ensemble``, ``best_trial``, or a baseline's name.
        logits: (N, C); of the ensemble those of its calibrated probabilities.
        seconds: that its training took, of all members for an ensemble; None where unknown.
        detail: what it is, such as the trial's id; empty where ``who`` says all.
        thresholds: (C,) at which it answers with a class; None where the task has none.
    """

    who: str
    logits: NDArray[np.floating]
    seconds: float | None = None
    detail: str = ""
    thresholds: NDArray[np.floating] | None = None

    @property
    def answers(self) -> Answers:
        """Logits and thresholds."""
        return Answers(self.logits, self.thresholds)


@dataclass(frozen=True, eq=False)
class Verdicts:
    """What the test split says.

    Attributes:
        contenders: the first is judged against the others.
        task: of the search.
        labels: of the test split, as the task encodes them.
        metrics: every metric of each contender, by ``who``.
        intervals: of the search's metric, by ``who``.
        gains: of the first over each other contender, by ``who`` and metric; above 0 is better.
    """

    metric: Metric
    task: Task
    label_names: tuple[str, ...]
    labels: Labels
    contenders: tuple[Contender, ...]
    metrics: Mapping[str, Mapping[str, float]]
    intervals: Mapping[str, Interval]
    gains: Mapping[str, Mapping[str, Interval]]

    @property
    def first(self) -> Contender:
        """The contender that is judged."""
        return self.contenders[0]

    @property
    def baselines(self) -> list[Contender]:
        """The contenders that are no transformer."""
        return [one for one in self.contenders if one.who not in (ENSEMBLE, BEST_TRIAL)]

    def best_baseline(self) -> Contender | None:
        """The baseline with the best value of the search's metric on the test split."""
        name = self.metric.name
        scored = {one.who: self.metric.score(self.metrics[one.who][name]) for one in self.baselines}
        return max(self.baselines, key=lambda one: scored[one.who], default=None)


def judge_test(
    contenders: Sequence[Contender],
    labels: Labels,
    *,
    metric: Metric,
    task: Task,
    label_names: Sequence[str],
    seed: int,
) -> Verdicts:
    """Measures every contender and the first one's gain over each other, with intervals."""
    judge = Judge(task, labels, derive_seed(seed, "verdicts"))
    answers = {one.who: one.answers for one in contenders}
    first = answers[contenders[0].who]
    return Verdicts(
        metric=metric,
        task=task,
        label_names=tuple(label_names),
        labels=labels,
        contenders=tuple(contenders),
        metrics={who: judge.measure(one) for who, one in answers.items()},
        intervals={who: judge.interval(metric, one) for who, one in answers.items()},
        gains={
            other.who: {
                name: judge.gain(kind, first, answers[other.who])
                for name, kind in task.metrics.items()
            }
            for other in contenders[1:]
        },
    )


def write_metrics(path: Path, verdicts: Verdicts) -> None:
    """Writes ``metrics.csv``: ``who``, then a column for every metric on the test split."""
    names = list(verdicts.task.metrics)
    rows = [
        [one.who, *(round(verdicts.metrics[one.who][name], 6) for name in names)]
        for one in verdicts.contenders
    ]
    write_csv(path, ["who", *names], rows)
