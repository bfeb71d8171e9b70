"""What early stopping saved, and who was cut at which rung."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from toprung.trial.config import Resource
from toprung.trial.decision import State
from toprung.trial.history import History, TrialRecord
from toprung.trial.journal import Event
from toprung.trial.report import Metric

_JUDGED: tuple[State, ...] = ("paused", "stopped", "completed")


@dataclass(frozen=True)
class Savings:
    """What the search spent, against every judged trial trained to the full resource.

    Trials that failed, diverged or still run count on neither side: no rule stopped them.

    Attributes:
        trials: that were judged: paused, stopped or completed.
        spent: resource that they were given.
        full: that many trials times the largest resource.
        seconds: that they took.
        full_seconds: an estimate: each trial's own seconds per unit of resource, times the
            largest resource.
    """

    trials: int
    spent: int
    full: int
    seconds: float
    full_seconds: float

    @property
    def saved_share(self) -> float:
        """Share of the full resource that was not spent; 0 without trials."""
        return 1 - self.spent / self.full if self.full else 0.0

    @property
    def saved_seconds(self) -> float:
        """Seconds that were not spent, estimated."""
        return self.full_seconds - self.seconds


@dataclass(frozen=True)
class RungCount:
    """What happened at one rung of one bracket.

    Attributes:
        reached: trials that reported there.
        went_on: those that were trained further, or are being.
        cutoff: the worst value of the metric with which a trial went on; None if none did.
    """

    bracket: int
    resource: int
    reached: int
    went_on: int
    cutoff: float | None


def search_phase(events: Iterable[Event]) -> History:
    """The history without the training of finalists: what the scheduler alone decided."""
    finalists: set[str] = set()
    kept: list[Event] = []
    for event in events:
        chosen = event["kind"] == "finalist" or event.get("source") == "finalist"
        if chosen:
            finalists.add(event["trial"])
        if event.get("trial") not in finalists:
            kept.append(event)
    return History.of(kept)


def savings(history: History, resource: Resource) -> Savings:
    """What early stopping saved in a history from ``search_phase``.

    In a search with phases, full is the largest resource of each trial's own phase.
    """
    judged = [r for r in history.in_state(*_JUDGED) if r.resource > 0]
    most = {r.config.trial: r.most or resource.max for r in judged}
    return Savings(
        trials=len(judged),
        spent=sum(record.resource for record in judged),
        full=sum(most.values()),
        seconds=sum(record.seconds for record in judged),
        full_seconds=sum(r.seconds / r.resource * most[r.config.trial] for r in judged),
    )


def count_rungs(
    history: History,
    metric: Metric,
    ladders: Mapping[int, Sequence[int]],
    *,
    phase: int | None = None,
) -> list[RungCount]:
    """The counts of every rung, from ``search_phase``; by bracket, then ascending.

    Args:
        history: from ``search_phase``.
        metric: that trials were compared by.
        ladders: the rungs of each bracket, ascending; the largest resource may be among them.
        phase: only its trials, as ``TrialRecord.phase`` counts; None for all.
    """
    records = [r for r in history.trials.values() if phase is None or r.phase == phase]
    return [
        _count(records, metric, bracket, resource)
        for bracket, ladder in sorted(ladders.items())
        for resource in ladder
    ]


def _count(
    records: Sequence[TrialRecord], metric: Metric, bracket: int, resource: int
) -> RungCount:
    values: list[float] = []
    further: list[float] = []
    for record in records:
        if record.bracket != bracket:
            continue
        value = _value_at(record, metric, resource)
        if value is not None:
            values.append(value)
            if _went_on(record, resource):
                further.append(value)
    cutoff = min(further, key=metric.score, default=None)
    return RungCount(bracket, resource, len(values), len(further), cutoff)


def _value_at(record: TrialRecord, metric: Metric, resource: int) -> float | None:
    found = (r.metrics[metric.name] for r in record.usable(metric) if r.resource == resource)
    return next(found, None)


def _went_on(record: TrialRecord, resource: int) -> bool:
    """A trial that failed at its last rung had gone on from it; one that was judged had not."""
    return record.resource > resource or record.state not in _JUDGED
