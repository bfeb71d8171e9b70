"""The contract of a diagnosis, and what all of them look at."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from toprung.trial.config import Resource
from toprung.trial.decision import Failure
from toprung.trial.report import Metric, Report
from toprung.trial.space import Values


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known besides a trial's own reports.

    Attributes:
        metric, resource: of the search.
        rows: that are trained on; 0 where unknown.
        class_rows: of them, those of each class, by name.
        baselines: the metrics of each baseline on the stopping split, by name.
    """

    metric: Metric
    resource: Resource
    rows: int = 0
    class_rows: Mapping[str, int] = field(default_factory=dict)
    baselines: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def best_baseline(self) -> tuple[str, float] | None:
        """Name and value of the baseline with the best metric; None without one."""
        name = self.metric.name
        known = [(who, found[name]) for who, found in self.baselines.items() if name in found]
        return max(known, key=lambda one: self.metric.score(one[1]), default=None)


@dataclass(frozen=True, kw_only=True)
class Course:
    """How a trial went so far.

    Attributes:
        values: its configuration.
        reports: usable ones, ascending in resource.
        failures: so far, the last one last.
        facts: of the search.
    """

    values: Values
    reports: Sequence[Report]
    failures: Sequence[Failure] = ()
    facts: Facts

    @property
    def progress(self) -> float:
        """Share of the largest resource that was reached, in [0, 1]."""
        return self.reports[-1].resource / self.facts.resource.max if self.reports else 0.0

    @property
    def rate(self) -> str:
        """The learning rate as an afterthought; empty where the configuration does not say it."""
        rate = self.values.get("learning_rate")
        return f"; the learning rate is {rate:.3g}" if isinstance(rate, int | float) else ""

    def series(self, name: str) -> list[float]:
        """A metric of the latest reports that have it without a gap, ascending."""
        found: list[float] = []
        for report in reversed(self.reports):
            if name not in report.metrics:
                break
            found.append(float(report.metrics[name]))
        return found[::-1]

    def last(self, name: str) -> float | None:
        """A metric of the last report; None where it has none."""
        return self.series(name)[-1] if self.series(name) else None

    def at(self, index: int) -> str:
        """The resource of a report in words, such as ``512 examples``."""
        return f"{self.reports[index].resource:,} {self.facts.resource.unit}"


class Diagnosis(ABC):
    """One symptom. Pure: the same course gives the same answer.

    Thresholds are fields, so that they are named and can be tested; they are chosen so that a
    sound trial shows nothing.
    """

    title: ClassVar[str]
    """The symptom in the words of a person, without a capital or full stop."""
    remedy: ClassVar[str]
    """What likely helps, one sentence."""
    stops: ClassVar[bool] = False
    """Whether the symptom is certain enough to end a trial that shows it."""
    of_data: ClassVar[bool] = False
    """Whether it is about the rows; it is then told once in a search."""

    @abstractmethod
    def evidence(self, course: Course) -> str | None:
        """The numbers that tell the symptom, without a full stop; None where it does not show."""
