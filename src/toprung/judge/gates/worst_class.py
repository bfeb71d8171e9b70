"""The recall of the class that the phase's best trial finds least, on the stopping split."""

from __future__ import annotations

from dataclasses import dataclass

from toprung.judge.gates._base import Condition, Facts, Measured, check_share


@dataclass(frozen=True)
class WorstClass(Condition):
    """Every class reaches the bound where the worst does.

    >>> from toprung.trial.report import Metric
    >>> facts = Facts(Metric("accuracy"), trial="t0003", recalls={"dvd": 0.43, "music": 0.95})
    >>> print(WorstClass(at_least=0.85).examine(facts).words)
    recall 0.4300 of the worst class 'dvd' of t0003 is not at least 0.85
    """

    of_classes = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_share(self)

    def measure(self, facts: Facts) -> Measured:
        if not facts.recalls:
            return Measured(None, "no trial has measured the recall of each class")
        worst = min(facts.recalls, key=lambda name: (facts.recalls[name], name))
        value = facts.recalls[worst]
        return Measured(value, f"recall {value:.4f} of the worst class '{worst}' of {facts.trial}")
