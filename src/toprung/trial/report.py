"""What a trial says when it has reached a resource, and the door that every report passes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from toprung.trial.decision import Failure


@dataclass(frozen=True)
class Metric:
    """A metric as the user named it; inside, a score is higher for better.

    >>> Metric("loss", maximize=False).score(0.25)
    -0.25
    """

    name: str
    maximize: bool = True

    def score(self, value: float) -> float:
        """The metric's value with its direction turned so that higher is better."""
        return value if self.maximize else -value

    def value(self, score: float) -> float:
        """The metric's value of a score."""
        return score if self.maximize else -score


@dataclass(frozen=True)
class Report:
    """Metrics of a trial at a resource.

    Attributes:
        trial: id.
        resource: reached, in the unit of the search; ascending within a trial.
        metrics: by name; numbers.
        seconds: spent by the trial so far, over all its attempts.
        checkpoint: name of the checkpoint folder inside the trial's, where one was saved.
    """

    trial: str
    resource: int
    metrics: Mapping[str, float]
    seconds: float
    checkpoint: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The report as JSON values; a number that is not finite becomes its name."""
        return {
            "trial": self.trial,
            "resource": self.resource,
            "metrics": {name: number_to_json(value) for name, value in self.metrics.items()},
            "seconds": round(float(self.seconds), 3),
            "checkpoint": self.checkpoint,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Report:
        """The report that ``to_json`` wrote."""
        metrics = {name: number_from_json(v) for name, v in value["metrics"].items()}
        return cls(
            value["trial"], value["resource"], metrics, value["seconds"], value.get("checkpoint")
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
    return metric.score(float(value))


def _is_finite(value: Any) -> bool:
    return not isinstance(value, float) or math.isfinite(value)
