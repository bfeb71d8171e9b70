"""The contract of a gate's condition: measured facts in, whether it holds and why out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from toprung.trial.history import BaselineRecord
from toprung.trial.report import Metric


@dataclass(frozen=True)
class Facts:
    """What was measured in a phase: on the stopping split, never on selection or test.

    Attributes:
        metric: of the search, with the floor of the phase.
        rows: of train that trials learned from; None for all.
        trial: the best one's id; None where none is usable.
        metrics: of the best trial, at the report that it would give to an ensemble.
        recalls: of that trial, by class; empty where they were not measured.
        trial_seconds: that it took.
        baselines: by name, each learned from the same rows.
        trials: that were begun in the phase.
        crashes: what each trial that failed for good said.
        seconds: of the search so far, all phases together.
    """

    metric: Metric
    rows: int | None = None
    trial: str | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    recalls: Mapping[str, float] = field(default_factory=dict)
    trial_seconds: float = 0.0
    baselines: Mapping[str, BaselineRecord] = field(default_factory=dict)
    trials: int = 0
    crashes: Sequence[str] = ()
    seconds: float = 0.0


@dataclass(frozen=True)
class Measured:
    """A condition's value and what it is in words; None where it could not be measured."""

    value: float | None
    words: str


@dataclass(frozen=True)
class Finding:
    """Whether a condition holds, and the numbers that say so."""

    holds: bool
    words: str


@dataclass(frozen=True)
class Condition(ABC):
    """A number that is measured, and the bounds in which the condition holds.

    What could not be measured does not hold. Options are the fields of the constructor.

    Attributes:
        at_least: the smallest value with which it holds.
        below: the smallest value with which it holds no more.
        of_classes: whether it asks about classes, which not every task has.
    """

    of_classes: ClassVar[bool] = False
    at_least: float | None = None
    below: float | None = None

    def __post_init__(self) -> None:
        if self.at_least is None and self.below is None:
            raise ValueError("it needs at_least or below")
        if self.at_least is not None and self.below is not None and self.below <= self.at_least:
            raise ValueError(f"below: {self.below:g} is not above at_least: {self.at_least:g}")

    @abstractmethod
    def measure(self, facts: Facts) -> Measured:
        """The number that the bounds are about."""

    def examine(self, facts: Facts) -> Finding:
        """Whether it holds, with the number and the bounds."""
        found = self.measure(facts)
        if found.value is None:
            return Finding(False, found.words)
        over = self.at_least is None or found.value >= self.at_least
        under = self.below is None or found.value < self.below
        bounds = [
            *([] if self.at_least is None else [f"at least {self.at_least:g}"]),
            *([] if self.below is None else [f"below {self.below:g}"]),
        ]
        verb = "is" if over and under else "is not"
        return Finding(over and under, f"{found.words} {verb} {' and '.join(bounds)}")


def check_share(condition: Condition) -> None:
    """Refuses bounds outside of 0 to 1.

    Raises:
        ValueError: with the bound and its value.
    """
    for name in ("at_least", "below"):
        value = getattr(condition, name)
        if value is not None and not 0 <= value <= 1:
            raise ValueError(f"{name}: {value:g} is not at least 0 and at most 1")
