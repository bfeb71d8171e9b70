"""A metric of the task, of the phase's best trial on the stopping split."""

from __future__ import annotations

from dataclasses import dataclass

from toprung.judge.gates._base import Condition, Facts, Measured, check_share

_UNBOUNDED = ("log_loss",)


@dataclass(frozen=True)
class MetricGate(Condition):
    """Any metric by its name; ``accuracy: {at_least: 0.8}`` is short for it.

    Attributes:
        name: of the metric.

    >>> from toprung.trial.report import Metric
    >>> facts = Facts(Metric("accuracy"), trial="t0003", metrics={"accuracy": 0.81})
    >>> MetricGate(at_least=0.8, name="accuracy").examine(facts)
    Finding(holds=True, words='accuracy 0.8100 of t0003 is at least 0.8')
    """

    name: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.name not in _UNBOUNDED:
            check_share(self)

    def measure(self, facts: Facts) -> Measured:
        value = facts.metrics.get(self.name)
        if value is None:
            return Measured(None, f"no trial has measured {self.name}")
        return Measured(value, f"{self.name} {value:.4f} of {facts.trial}")
