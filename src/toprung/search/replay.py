"""An old journal brings scheduler and searcher to where they were when it ended."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import KW_ONLY, dataclass
from pathlib import Path

from toprung.core.errors import FixEnvironment, GiveUp
from toprung.search.schedulers._base import Scheduler
from toprung.trial.decision import Continue, Decision, Pause, Promotion, State
from toprung.trial.history import History, TrialRecord
from toprung.trial.journal import Event
from toprung.trial.report import Metric


@dataclass
class Replay:
    """Makes the calls again that the events tell of, and compares what comes of them.

    Attributes:
        history: empty; each event is applied to it.
        scheduler: prepared, and asked nothing yet but by this replay.
        observe: shows a trial to the searcher.
        metric: of the search.
        turn: from the event of a phase that begins to its scheduler and metric.
        where: the journal, for messages.
    """

    history: History
    scheduler: Scheduler
    observe: Callable[[TrialRecord], None]
    metric: Metric
    _: KW_ONLY
    turn: Callable[[Event], tuple[Scheduler, Metric]]
    where: Path

    def follow(self, events: Iterable[Event]) -> None:
        """Applies the events, and makes the calls that each tells of.

        Raises:
            GiveUp: these rules answer otherwise than the journal says.
            FixEnvironment: an event is none that could have been written there.
        """
        for event in events:
            self.history.apply(event)
            try:
                self._take(event)
            except (LookupError, TypeError, ValueError, AttributeError, StopIteration) as error:
                raise FixEnvironment(
                    f"{self.where}: event {event['seq']} ({event['kind']}) does not follow from "
                    f"those before it ({type(error).__name__}: {error}). The file was changed or "
                    f"damaged; restore it from a copy."
                ) from error

    def _take(self, event: Event) -> None:
        if event["kind"] == "phase":
            self.scheduler, self.metric = self.turn(event)
        kind, record = event["kind"], self.history.trials.get(event.get("trial", ""))
        if record is None:
            return
        if kind == "suggested" and record.source != "finalist":
            self.scheduler.add(record.config.trial)
            self.observe(record)
        elif kind == "finalist":
            self.scheduler.drop(record.config.trial)
        elif kind == "decided":
            self._decided(event, record)
            self.observe(record)
        elif kind == "promoted":
            promotion = self._climbing(event["by"])
            self._same(event, promotion.trial if promotion else None, event["trial"])
        elif kind == "failed" and record.state != "running":
            self.scheduler.drop(record.config.trial)
            self.observe(record)

    def _climbing(self, by: str) -> Promotion | None:
        if by == "rule":
            return self.scheduler.promote()
        return self.scheduler.ahead() if by == "ahead" else self.scheduler.finale()

    def _decided(self, event: Event, record: TrialRecord) -> None:
        if event["by"] == "end" or record.finalist:
            return
        if event["by"] == "diagnosis":
            self.scheduler.drop(record.config.trial)
            return
        report = next(r for r in record.reports if r.resource == event["resource"])
        score = self.metric.rate(report.metrics)
        decision = self.scheduler.decide(record.config.trial, report.resource, score)
        self._same(event, word(decision), event["decision"])

    def _same(self, event: Event, now: object, then: object) -> None:
        if now != then:
            raise GiveUp(
                f"{self.where}: event {event['seq']} says {event['kind']} {then!r}, but this "
                f"spec's rules say {now!r}. The journal belongs to other settings or to another "
                f"version of toprung; start a new search with --results."
            )


def word(decision: Decision) -> str:
    """A decision as the journal names it.

    >>> word(Pause("why"))
    'pause'
    """
    return type(decision).__name__.lower()


def state(decision: Decision) -> State:
    """The state that a decision puts a trial in."""
    if isinstance(decision, Continue):
        return "running"
    if isinstance(decision, Pause):
        return "paused"
    return "completed" if decision.completed else "stopped"
