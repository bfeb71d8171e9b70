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
from toprung.trial.record import BaselineRecord, PhaseRecord, Streak, TrialRecord
from toprung.trial.report import Report, number_from_json

__all__ = ["BaselineRecord", "History", "PhaseRecord", "TrialRecord"]


@dataclass
class History:
    """What the events so far add up to.

    Attributes:
        trials: by id, in the order of their suggestion.
        suggested: those of the search itself, without the further seeds of finalists.
        failures: of all trials.
        streak: trials that failed alike one after the other; each opening begins anew.
        closed: why the search phase ended; None while it goes on.
        extended: trials added to the budget after the start.
        extended_at: seconds of search time at the last extension; time budgets start there.
        tried_before: trials that had been suggested by then.
        opened_before: trials that had been suggested when the search was opened last.
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
    streak: Streak = field(default_factory=Streak)
    baselines: dict[str, BaselineRecord] = field(default_factory=dict)
    closed: str | None = None
    extended: int = 0
    extended_at: float = 0.0
    tried_before: int = 0
    opened_before: int = 0
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
        now = history.phases[-1].event
        record.phase, record.most, record.floor = len(history.phases), now["max"], now["floor"]
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
    if event.get("by") != "end":
        record.mended = len(record.failures)
        history.streak.end()
    record.began = event["at"] if record.state == "running" else None


def _promoted(history: History, event: Event) -> None:
    record = history.trials[event["trial"]]
    record.state, record.reason, record.began = "running", event["reason"], None


def _failed(history: History, event: Event) -> None:
    record = history.trials[event["trial"]]
    record.failures.append(Failure(event["class"], event["message"]))
    history.failures += 1
    if event["state"] != "running":
        history.streak.take(record.failures[-1])
    record.state, record.reason = event["state"], event["reason"]
    record.attempt, record.shrink, record.began = event["attempt"], event["shrink"], None
    record.reports = [r for r in record.reports if r.resource <= record.resource]


def _left(history: History, event: Event) -> None:
    record = history.trials[event["trial"]]
    record.began = None
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
    history.streak = Streak()
    history.closed = None
    if history.phases:
        history.phases[-1] = replace(history.phases[-1], gate=None)


def _phase(history: History, event: Event) -> None:
    begins = len(history.suggested)
    history.phases.append(PhaseRecord(event["phase"], event["attempt"], event, begins))
    history.extended, history.extended_at = 0, event["at"]
    history.tried_before = begins
    history.streak = Streak()
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
    history.opened_before = len(history.suggested)
    history.streak = Streak()


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
    "held": _left,
    "left": _left,
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
