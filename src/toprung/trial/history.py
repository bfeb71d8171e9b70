"""The state of a search, folded from its journal; every view begins here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from toprung.core.errors import FixEnvironment
from toprung.trial.config import TrialConfig
from toprung.trial.decision import Failure, State
from toprung.trial.finding import Finding
from toprung.trial.journal import Event
from toprung.trial.report import Metric, Report, number_from_json


@dataclass
class TrialRecord:
    """All that the journal tells of one trial.

    Attributes:
        source: who suggested it: a searcher's name, ``first`` or ``finalist``.
        bracket: of the scheduler; 0 where there are none.
        reports: accepted and refused ones, ascending in resource.
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
    """

    config: TrialConfig
    source: str
    bracket: int = 0
    state: State = "running"
    reason: str = ""
    reports: list[Report] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
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

    def usable(self, metric: Metric) -> list[Report]:
        """The reports that carry the metric, up to the resource that counts."""
        return [
            report
            for report in self.reports
            if report.resource <= self.resource
            and isinstance(report.metrics.get(metric.name), int | float)
        ]

    def best(self, metric: Metric) -> Report | None:
        """The report with the best metric; the earliest among equals."""
        reports = self.usable(metric)
        return max(reports, key=lambda r: metric.rate(r.metrics), default=None)


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
class History:
    """What the events so far add up to.

    Attributes:
        trials: by id, in the order of their suggestion.
        suggested: those of the search itself, without the further seeds of finalists.
        failures: of all trials.
        closed: why the search phase ended; None while it goes on.
        extended: trials added to the budget after the start.
        extended_at: seconds of search time at the last extension; time budgets start there.
        tried_before: trials that had been suggested by then.
        tests_opened: how often the test split was looked at.
        finalists: whose training to the last rung was ordered last, in order; empty before.
        data_sha256: of the rows that the search learns from; None before they were read.
        precision: that trials compute in, where it was measured; None where the spec says it.
        ensembles: what was ensembled, newest last.
        known_of_data: symptoms of the rows themselves, which are told once.
        phases: that were begun, each attempt by itself; empty where a search has none.
        forecast: what the search was expected to cost before it began; None without a forecast.
    """

    trials: dict[str, TrialRecord] = field(default_factory=dict)
    suggested: list[TrialRecord] = field(default_factory=list)
    failures: int = 0
    baselines: dict[str, BaselineRecord] = field(default_factory=dict)
    closed: str | None = None
    extended: int = 0
    extended_at: float = 0.0
    tried_before: int = 0
    tests_opened: int = 0
    interrupted: bool = False
    finalists: Sequence[str] = ()
    data_sha256: str | None = None
    precision: str | None = None
    ensembles: list[Mapping[str, Any]] = field(default_factory=list)
    known_of_data: set[str] = field(default_factory=set)
    phases: list[PhaseRecord] = field(default_factory=list)
    forecast: Event | None = None

    @property
    def is_over(self) -> bool:
        """Whether the search phase has ended, and with it the plan, where there is one."""
        return self.closed is not None and (not self.phases or self.phases[-1].is_last)

    @property
    def phase_begins(self) -> int:
        """How many trials had been suggested when the phase began that is at work."""
        return self.phases[-1].begins if self.phases else 0

    def in_phase(self) -> list[TrialRecord]:
        """The trials of the phase at work, without further seeds of finalists."""
        return self.suggested[self.phase_begins :]

    def crashed(self) -> list[TrialRecord]:
        """Those that failed for good, of what was begun since the phase or the last extension.

        A loss that diverges is no crash.
        """
        return [r for r in self.suggested[self.tried_before :] if r.state == "failed"]

    @classmethod
    def of(cls, events: Iterable[Event]) -> History:
        """The history that the events tell."""
        history = cls()
        for event in events:
            history.apply(event)
        return history

    def apply(self, event: Event) -> None:
        """Takes in the next event; kinds it does not know change nothing."""
        change = _CHANGES.get(event["kind"])
        if change is not None:
            try:
                change(self, event)
            except (LookupError, TypeError, ValueError, AttributeError) as error:
                raise FixEnvironment(
                    f"event {event.get('seq')} of the journal ({event['kind']}) does not follow "
                    f"from those before it ({type(error).__name__}: {error}). The file was "
                    f"changed or damaged; restore it from a copy."
                ) from error
        record = self.trials.get(event.get("trial", ""))
        if record is not None:
            record.at, record.seq = event["at"], event["seq"]

    def in_state(self, *states: State) -> list[TrialRecord]:
        """The trials in one of the states, in the order of their suggestion."""
        return [record for record in self.trials.values() if record.state in states]


def _suggested(history: History, event: Event) -> None:
    config = TrialConfig(event["trial"], dict(event["values"]), event["seed"])
    again = event["source"] == "finalist"
    record = TrialRecord(config, event["source"], event["bracket"], finalist=again)
    if history.phases:
        record.phase, record.most = len(history.phases), history.phases[-1].event["max"]
    history.trials[config.trial] = record
    if not again:
        history.suggested.append(record)


def _started(history: History, event: Event) -> None:
    record = history.trials[event["trial"]]
    record.state = "running"
    if record.began is None:
        record.began = event["at"]


def _reported(history: History, event: Event) -> None:
    record = history.trials[event["trial"]]
    record.reports.append(Report.from_json(event))
    record.seconds = event["seconds"]


def _decided(history: History, event: Event) -> None:
    record = history.trials[event["trial"]]
    record.state, record.reason = event["state"], event["reason"]
    record.resource = max(record.resource, event["resource"])
    record.began = event["at"] if record.state == "running" else None


def _promoted(history: History, event: Event) -> None:
    record = history.trials[event["trial"]]
    record.state, record.reason, record.began = "running", event["reason"], None


def _failed(history: History, event: Event) -> None:
    record = history.trials[event["trial"]]
    record.failures.append(Failure(event["class"], event["message"]))
    history.failures += 1
    record.state, record.reason = event["state"], event["reason"]
    record.attempt, record.shrink, record.began = event["attempt"], event["shrink"], None
    record.reports = [r for r in record.reports if r.resource <= record.resource]


def _diagnosed(history: History, event: Event) -> None:
    finding = Finding.from_json(event)
    history.trials[event["trial"]].findings.append(finding)
    if finding.of_data:
        history.known_of_data.add(finding.symptom)


def _finalist(history: History, event: Event) -> None:
    record = history.trials[event["trial"]]
    record.finalist, record.state, record.reason = True, "running", event["reason"]
    record.began = None


def _chosen(history: History, event: Event) -> None:
    history.finalists = event["finalists"]


def _data(history: History, event: Event) -> None:
    history.data_sha256 = event["sha256"]


def _precision(history: History, event: Event) -> None:
    history.precision = event["precision"]


def _baseline(history: History, event: Event) -> None:
    metrics = {name: number_from_json(value) for name, value in event["metrics"].items()}
    history.baselines[event["name"]] = BaselineRecord(
        event["name"], metrics, event["seconds"], event.get("rows")
    )


def _extended(history: History, event: Event) -> None:
    history.finalists = ()
    history.extended += event["trials"]
    history.extended_at = event["at"]
    history.tried_before = len(history.suggested)
    history.closed = None
    if history.phases:
        history.phases[-1] = replace(history.phases[-1], gate=None)


def _phase(history: History, event: Event) -> None:
    begins = len(history.suggested)
    history.phases.append(PhaseRecord(event["phase"], event["attempt"], event, begins))
    history.extended, history.extended_at = 0, event["at"]
    history.tried_before = begins
    history.finalists = ()
    history.closed = None


def _forecast(history: History, event: Event) -> None:
    history.forecast = event


def _gate(history: History, event: Event) -> None:
    history.phases[-1] = replace(history.phases[-1], gate=event)


def _test_opened(history: History, event: Event) -> None:
    history.tests_opened += 1


def _closed(history: History, event: Event) -> None:
    history.closed = event["reason"]


def _interrupted(history: History, event: Event) -> None:
    history.interrupted = True


def _opened(history: History, event: Event) -> None:
    history.interrupted = False


def _ensembled(history: History, event: Event) -> None:
    history.ensembles.append(event)


_CHANGES: Mapping[str, Callable[[History, Event], None]] = {
    "opened": _opened,
    "suggested": _suggested,
    "started": _started,
    "reported": _reported,
    "decided": _decided,
    "promoted": _promoted,
    "failed": _failed,
    "diagnosed": _diagnosed,
    "finalist": _finalist,
    "chosen": _chosen,
    "data": _data,
    "precision": _precision,
    "baseline": _baseline,
    "extended": _extended,
    "phase": _phase,
    "gate": _gate,
    "forecast": _forecast,
    "interrupted": _interrupted,
    "closed": _closed,
    "test_opened": _test_opened,
    "ensembled": _ensembled,
}
