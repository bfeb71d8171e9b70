"""What the phase's best trial gains over a baseline by the search's metric, and both costs."""

from __future__ import annotations

from dataclasses import dataclass

from toprung.judge.gates._base import Condition, Facts, Measured
from toprung.judge.sentences import duration


@dataclass(frozen=True)
class Gain(Condition):
    """Above 0 is better than the baseline, also where the metric is to be small.

    Both are measured on the stopping split and learned from the same rows.

    Attributes:
        over: name of the baseline; None is the best one.

    >>> from toprung.trial.history import BaselineRecord
    >>> from toprung.trial.report import Metric
    >>> plain = BaselineRecord("tfidf_logreg", {"accuracy": 0.765}, 8.2)
    >>> facts = Facts(Metric("accuracy"), trial="t0003", metrics={"accuracy": 0.76},
    ...               trial_seconds=600.0, baselines={"tfidf_logreg": plain})
    >>> print(Gain(below=0.0).examine(facts).words)
    gain -0.0050 of t0003 (accuracy 0.7600, 10 min 0 s) over tfidf_logreg (0.7650, 8.2 s), so \
that the transformer is not worth its cost so far, is below 0
    """

    over: str | None = None

    def measure(self, facts: Facts) -> Measured:
        name, metric = facts.metric.name, facts.metric
        own = facts.metrics.get(name)
        known = {n: b for n, b in facts.baselines.items() if name in b.metrics}
        if self.over is not None:
            known = {n: b for n, b in known.items() if n == self.over}
        if own is None or not known:
            return Measured(None, "no gain over a baseline was measured")
        best = max(known.values(), key=lambda b: metric.score(b.metrics[name]))
        gain = metric.score(own) - metric.score(best.metrics[name])
        costs = (
            f"gain {gain:+.4f} of {facts.trial} ({name} {own:.4f}, "
            f"{duration(facts.trial_seconds)}) over {best.name} "
            f"({best.metrics[name]:.4f}, {duration(best.seconds)})"
        )
        if gain <= 0:
            costs += ", so that the transformer is not worth its cost so far,"
        return Measured(gain, costs)
