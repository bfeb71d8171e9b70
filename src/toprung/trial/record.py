"""What the journal tells of one trial, one baseline, one phase."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from toprung.trial.config import TrialConfig
from toprung.trial.decision import Failure, State
from toprung.trial.finding import Finding
from toprung.trial.journal import Event
from toprung.trial.report import Metric, Report

_DIGITS = re.compile(r"\d+")
_CAUSE_LETTERS = 80


@dataclass
class TrialRecord:
    """All that the journal tells of one trial.

    Attributes:
        source: who suggested it: a searcher's name, ``first`` or ``finalist``.
        bracket: of the scheduler; 0 where there are none.
        reports: accepted and refused ones, ascending in resource.
        failures: of all attempts, in their order.
        mended: how many of the failures lie before the last usable report.
        resource: of the last usable report; the checkpoint to go on from.
        reason: of the last decision.
        attempt: 1, and one more after each failure.
        shrink: micro-batches are divided by it; see ``Assignment``.
        seconds: spent on the trial, as of its last report.
        at: seconds of search time of the trial's last event.
        began: search time at which the training to the next report began; a later opening of
            the search that starts the trial again does not change it. None while it waits.
        seq: number of the trial's last event; orders those that wait for a slot.
        finalist: whether it is trained to the last rung for the ensemble.
        findings: symptoms that were diagnosed, in the order in which they showed.
        phase: how many phases had begun when it was suggested; 0 where a search has none.
        most: largest resource of that phase; 0 where a search has none.
        floor: of each class in that phase; None where it, or a search, has none.
    """

    config: TrialConfig
    source: str
    bracket: int = 0
    state: State = "running"
    reason: str = ""
    reports: list[Report] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    mended: int = 0
    resource: int = 0
    attempt: int = 1
    shrink: int = 1
    seconds: float = 0.0
    at: float = 0.0
    began: float | None = None
    seq: int = 0
    finalist: bool = False
    findings: list[Finding] = field(default_factory=list)
    phase: int = 0
    most: int = 0
    floor: float | None = None

    @property
    def unmended(self) -> list[Failure]:
        """The failures since the last usable report."""
        return self.failures[self.mended :]

    def usable(self, metric: Metric) -> list[Report]:
        """The reports that carry the metric, up to the resource that counts."""
        return [
            report
            for report in self.reports
            if report.resource <= self.resource
            and isinstance(report.metrics.get(metric.name), int | float)
        ]

    def best(self, metric: Metric) -> Report | None:
        """Of the reports on most held-out rows the best one; the earliest among equals."""
        reports = on_most_rows(self.usable(metric))
        return max(reports, key=lambda r: metric.rate(r.metrics), default=None)


def on_most_rows(reports: Sequence[Report]) -> list[Report]:
    """Those with scores of as many held-out rows as any: like is compared with like."""
    rows = [report.metrics.get("evaluated_rows", 0) for report in reports]
    return [r for r, count in zip(reports, rows, strict=True) if count == max(rows)]


@dataclass(frozen=True)
class BaselineRecord:
    """A baseline's metrics on the stopping split, and its cost in seconds.

    ``rows`` are those that it learned from, where a search has phases.
    """

    name: str
    metrics: Mapping[str, float]
    seconds: float
    rows: int | None = None


@dataclass(frozen=True)
class PhaseRecord:
    """A phase that was begun.

    Attributes:
        number: in the plan, from 1.
        attempt: 1, and one more after each time its rows were shrunk.
        event: that began it: ``rows``, ``trials``, ``seconds``, ``unit``, ``min`` and ``max`` of
            the resource, ``floor``, ``first``, ``carried``, ``reason``.
        begins: trials that had been suggested before.
        gate: the event that decided what follows; None while that is open.
    """

    number: int
    attempt: int
    event: Event
    begins: int
    gate: Event | None = None

    @property
    def is_last(self) -> bool:
        """Whether a gate has decided that no phase follows."""
        return self.gate is not None and self.gate["action"] not in ("next_phase", "shrink")


@dataclass
class Streak:
    """Trials that failed for good one after the other, alike, without a usable report between.

    A loss that diverges is the configuration's own and neither makes nor ends a streak.

    Attributes:
        failures: of the streak.
        passed: how many failures of each cause a usable report has followed.

    >>> streak = Streak()
    >>> for trial in (1, 2):
    ...     streak.take(Failure("user_error", f"KeyError: t000{trial}"))
    >>> len(streak.failures)
    2
    >>> streak.end(); streak.take(Failure("user_error", "KeyError: t0003")); streak.passed_alike
    2
    """

    failures: list[Failure] = field(default_factory=list)
    passed: dict[str, int] = field(default_factory=dict)

    @property
    def passed_alike(self) -> int:
        """How many failures of the streak's own cause a usable report has followed before."""
        return self.passed.get(_cause(self.failures[-1]), 0) if self.failures else 0

    def take(self, failure: Failure) -> None:
        """One more trial has failed for good."""
        if failure.kind == "diverged":
            return
        if self.failures and _cause(failure) != _cause(self.failures[-1]):
            self.end()
        self.failures.append(failure)

    def end(self) -> None:
        """A trial has reported something usable, or has failed otherwise."""
        if self.failures:
            cause = _cause(self.failures[-1])
            self.passed[cause] = self.passed.get(cause, 0) + len(self.failures)
            self.failures = []


def _cause(failure: Failure) -> str:
    """What failures have in common: class and words, whatever numbers stand in them."""
    return f"{failure.kind}: {_DIGITS.sub('#', failure.message)[:_CAUSE_LETTERS]}"
