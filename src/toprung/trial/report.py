"""What a trial says when it has reached a resource, and the door that every report passes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from toprung.trial.decision import Failure

RECALL = "recall."
"""What stands before a class's name where a report gives the recall of that class."""

_MISSED = 1e6


@dataclass(frozen=True)
class Metric:
    """A metric as the user named it; inside, a score is higher for better.

    Attributes:
        name: of the metric.
        maximize: whether higher values are better.
        floor: recall that every class must reach, a constraint of the search; None for none.

    >>> Metric("loss", maximize=False).score(0.25)
    -0.25
    """

    name: str
    maximize: bool = True
    floor: float | None = None

    def score(self, value: float) -> float:
        """The metric's value with its direction turned so that higher is better."""
        return value if self.maximize else -value

    def value(self, score: float) -> float:
        """The metric's value of a score."""
        return score if self.maximize else -score

    def rate(self, metrics: Mapping[str, float]) -> float:
        """The score of a report's metrics, in which constraints come first.

        Where a class misses the floor the report ranks behind every one in which none does, and
        among its like by how much is missing in all. Of a report that tells no class's recall
        nothing is missing. Source: Deb 2000, "An efficient constraint handling method for genetic
        algorithms", as Optuna's ``constraints_func`` takes it too.

        >>> held = Metric("accuracy", floor=0.8)
        >>> held.rate({"accuracy": 0.7, "recall.a": 0.8}) > held.rate(
        ...     {"accuracy": 0.9, "recall.a": 0.7})
        True
        """
        missing = self.missing(metrics)
        return -_MISSED - missing if missing > 0 else self.score(metrics[self.name])

    def missing(self, metrics: Mapping[str, float]) -> float:
        """By how much the classes miss the floor, all together; 0 where each reaches it."""
        if self.floor is None:
            return 0.0
        recalls = recalls_of(metrics).values()
        return round(sum(max(0.0, self.floor - recall) for recall in recalls), 9)

    def tell(self, score: float) -> str:
        """What a score of ``rate`` means, in words.

        >>> Metric("accuracy").tell(0.5), Metric("accuracy", floor=0.8).tell(-1e6 - 0.25)
        ('accuracy 0.5', '0.25 short of recall 0.8 in all classes together')
        """
        if self.floor is not None and score <= -_MISSED:
            return f"{-_MISSED - score:.4g} short of recall {self.floor:g} in all classes together"
        return f"{self.name} {self.value(score):.4g}"


def recalls_of(metrics: Mapping[str, float]) -> dict[str, float]:
    """The recall of each class that a report tells, by the class's name.

    >>> recalls_of({"accuracy": 0.5, "recall.dvd": 0.4})
    {'dvd': 0.4}
    """
    return {k.removeprefix(RECALL): v for k, v in metrics.items() if k.startswith(RECALL)}


@dataclass(frozen=True)
class Report:
    """Metrics of a trial at a resource.

    Attributes:
        trial: id.
        resource: reached, in the unit of the search; ascending within a trial.
        metrics: by name; numbers.
        seconds: spent by the trial so far, over all its attempts.
        checkpoint: name of the checkpoint folder inside the trial's, where one was saved.
        note: what people should know of how it came about; empty as a rule.
    """

    trial: str
    resource: int
    metrics: Mapping[str, float]
    seconds: float
    checkpoint: str | None = None
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        """The report as JSON values; a number that is not finite becomes its name."""
        return {
            "trial": self.trial,
            "resource": self.resource,
            "metrics": {name: number_to_json(value) for name, value in self.metrics.items()},
            "seconds": round(float(self.seconds), 3),
            "checkpoint": self.checkpoint,
            **({"note": self.note} if self.note else {}),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Report:
        """The report that ``to_json`` wrote."""
        metrics = {name: number_from_json(v) for name, v in value["metrics"].items()}
        return cls(
            value["trial"],
            value["resource"],
            metrics,
            value["seconds"],
            value.get("checkpoint"),
            value.get("note", ""),
        )


def number_to_json(value: Any) -> Any:
    """A number that JSON can hold: NaN and infinities become their names."""
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    return value


def number_from_json(value: Any) -> Any:
    """The number that ``number_to_json`` wrote."""
    return float(value) if value in ("nan", "inf", "-inf") else value


def examine(report: Report, metric: Metric, previous: int) -> float | Failure:
    """The score of a report, or why it cannot be used. The one door for NaN and missing metrics.

    Args:
        report: as the trial sent it.
        metric: that the search ranks by.
        previous: the resource of the trial's report before; 0 for none.

    >>> accuracy = Metric("accuracy")
    >>> examine(Report("t0001", 8, {"accuracy": 0.5}, 1.0), accuracy, 0)
    0.5
    >>> examine(Report("t0001", 8, {"accuracy": float("nan")}, 1.0), accuracy, 0).kind
    'diverged'
    >>> examine(Report("t0001", 8, {"loss": 0.5}, 1.0), accuracy, 0).kind
    'metric_missing'
    """
    value = report.metrics.get(metric.name)
    if value is None:
        had = ", ".join(sorted(report.metrics)) or "none"
        return Failure("metric_missing", f"no metric '{metric.name}' at {report.resource}: {had}")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return Failure("metric_missing", f"{metric.name} is {type(value).__name__}, not a number")
    bad = [name for name, v in report.metrics.items() if not _is_finite(v)]
    if bad:
        return Failure("diverged", f"{bad[0]} is {report.metrics[bad[0]]} at {report.resource}")
    if report.resource <= previous:
        return Failure("user_error", f"resource {report.resource} does not exceed {previous}")
    return float(metric.rate(report.metrics))


def _is_finite(value: Any) -> bool:
    return not isinstance(value, float) or math.isfinite(value)
