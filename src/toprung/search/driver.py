"""Free slots into assignments, reports into decisions; every step is journaled first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from toprung import __version__
from toprung.core.errors import FixEnvironment, GiveUp
from toprung.search.course import Course
from toprung.search.failures import halting_failure, has_crashed, judge, why_over
from toprung.search.ledger import Ledger, Watcher
from toprung.search.plan import Plan
from toprung.search.replay import Replay, state, word
from toprung.search.schedulers._base import Scheduler
from toprung.search.searchers._base import Observation, Searcher
from toprung.search.supply import Supply
from toprung.search.symptoms import Diagnose, Symptoms, find_nothing
from toprung.trial.config import Assignment
from toprung.trial.decision import Continue, Decision, Failure, State, Stop, Verdict
from toprung.trial.events import FORMAT
from toprung.trial.history import TrialRecord
from toprung.trial.journal import Event, Journal
from toprung.trial.report import Metric, Report, examine

_HOLD_SECONDS = 60.0
"""A trial whose storage was full is tried again after so long, or once there is more room."""


class Driver:
    """The one place where a search's course is decided, whatever runner trains the trials.

    A runner asks ``assign`` whenever a slot is free, hands every report to ``report`` and obeys
    the decision, and hands every failure to ``fail``. All state is a fold over the journal, so a
    driver that is opened on an old journal goes on as if it had never been away.

    Each answer is durable when it is given. A runner that has much to hand over at once does so
    inside ``together``: the disk is waited for once, and no answer may leave the block before.

    Attributes:
        active: trials that train, or are on their way to a worker.
        between: resources at which the answer to a usable report is always Continue.
    """

    def __init__(
        self,
        plan: Plan,
        scheduler: Scheduler,
        searcher: Searcher,
        journal: Journal,
        *,
        watchers: Sequence[Watcher] = (),
        diagnose: Diagnose = find_nothing,
        phases: Callable[[Event], Course] | None = None,
    ) -> None:
        """Opens the search: replays the journal, then recovers what was cut off.

        Args:
            plan: of the search.
            scheduler, searcher: prepared.
            journal: open; its earlier events are replayed.
            watchers: called with each new event, after it is durable.
            diagnose: tells the symptoms of a trial.
            phases: from the event that begins a phase to what decides it from there on.

        Raises:
            GiveUp: the journal's decisions are not those that these rules take.
        """
        self.plan = plan
        self.active: set[str] = set()
        self.interrupted = False
        self._ledger = Ledger(journal, watchers)
        self.history, self._write = self._ledger.history, self._ledger.write
        self._symptoms = Symptoms(diagnose, self.history, self._write)
        self._phases = phases
        course = Course(plan, scheduler, searcher)
        self._supply = Supply(course, self.history, self._write, self._observe)
        self._follow(course)
        replay = Replay(
            self.history,
            scheduler,
            self._observe,
            plan.metric,
            turn=self._turn,
            where=journal.path,
        )
        replay.follow(journal.earlier)
        with self.together():
            self.write("opened", version=__version__, format=FORMAT)
            self._recover()

    def write(self, kind: str, **fields: object) -> Event:
        """Journals an event, takes it into the history, and tells the watchers."""
        return self._ledger.write(kind, **fields)

    def together(self) -> AbstractContextManager[object]:
        """See ``Ledger.together``."""
        return self._ledger.together()

    def watch(self, watcher: Watcher) -> None:
        """Has one more watcher called with each new event."""
        self._ledger.watch(watcher)

    def elapsed(self) -> float:
        """Seconds of search time so far, over all openings."""
        return self._ledger.elapsed()

    def assign(self) -> Assignment | None:
        """The next training for a free slot; None where there is nothing to do now."""
        if self.interrupted:
            return None
        with self.together():
            record = self._supply.next(at_work=bool(self.active), is_spent=self._spent())
            if record is None:
                return None
            trial, start = record.config.trial, record.resource
            event = self._write("started", trial=trial, attempt=record.attempt, **{"from": start})
        self.active.add(trial)
        return Assignment(record.config, start, record.attempt, record.shrink, event["epoch"])

    def report(self, report: Report) -> Decision:
        """What becomes of the trial that sent this report."""
        if report.trial not in self.active:
            return Stop("a late report of a trial that does not run here")
        record = self.history.trials[report.trial]
        with self.together():
            self._write("reported", **report.to_json())
            return self._decide(record, report)

    def fail(self, trial: str, failure: Failure) -> Verdict:
        """What is done about a trial that could not go on."""
        record = self.history.trials[trial]
        if failure.kind == "storage":
            return self._hold(record, failure)
        verdict = judge(failure, record)
        ends: State = "diverged" if failure.kind == "diverged" else "failed"
        shrink = record.shrink * 2 if failure.kind == "out_of_memory" else record.shrink
        self._write(
            "failed",
            trial=trial,
            **{"class": failure.kind},
            message=failure.message,
            state="running" if verdict.retry else ends,
            reason=verdict.reason,
            attempt=record.attempt + verdict.retry,
            shrink=shrink,
        )
        self.active.discard(trial)
        self._symptoms.look(record)
        if verdict.retry:
            self._supply.put(trial)
        else:
            self._scheduler.drop(trial)
            self._observe(record)
        return verdict

    def _hold(self, record: TrialRecord, failure: Failure) -> Verdict:
        """Waits for room on the storage that refused a trial; the trial is not to blame for it."""
        trial, why = record.config.trial, f"{failure.kind}: {failure.message}"
        goes_on = self._ledger.wait(f"{failure.message} (trial {trial})", _HOLD_SECONDS)
        self.leave(trial)
        if not goes_on and not self.interrupted:
            raise FixEnvironment(f"{why}. Make room, then resume: the search goes on where it is.")
        reason = f"{why}; it goes on from its last checkpoint"
        self._write("held", trial=trial, message=failure.message, reason=reason)
        return Verdict(True, reason)

    def leave(self, trial: str, why: str = "") -> None:
        """Takes note that a trial left its slot without a report, to go on another time."""
        self.active.discard(trial)
        if why:
            self._write("left", trial=trial, reason=why)
        if not self.interrupted and self.history.trials[trial].state == "running":
            self._supply.put(trial)

    def interrupt(self) -> None:
        """Begins nothing more; what runs is left to go on from its checkpoint later."""
        if not self.interrupted:
            self.interrupted = True
            self._write("interrupted")

    def extend(self, trials: int) -> None:
        """Adds trials to the budget and opens a finished search again."""
        self._write("extended", trials=trials)

    def begin_phase(self, **fields: object) -> None:
        """Begins a phase: new trials are decided by its own plan, scheduler and searcher.

        Args:
            fields: of the event, from which the phase's course follows; see ``PhaseRecord``.
        """
        self._turn(self._write("phase", **fields))

    def refuse_streak(self) -> None:
        """Tells that trial after trial now fails alike, so that none is begun any more.

        Raises:
            GiveUp: with the cause; nothing is lost, and a later opening goes on.
        """
        failure = halting_failure(self.history)
        if failure is not None and not has_crashed(self.history, self.plan.crashes):
            self._write("halted", **{"class": failure.kind}, message=failure.message)
            raise GiveUp(
                f"Trial after trial fails alike ({failure.kind}): {failure.message}. Mend the "
                f"cause, then resume: the search goes on where it is."
            )

    def finish(self) -> None:
        """Ends the search phase: paused trials are stopped, each with its reason."""
        if self.interrupted or self.history.closed is not None:
            return
        with self.together():
            for record in self.history.in_state("paused"):
                verdict = Stop(self._scheduler.verdict(record.config.trial))
                self._write_decision(record, record.resource, verdict, by="end")
            self._write("closed", reason=why_over(self.history, self.plan, self._spent()))

    def train_fully(
        self, trials: Sequence[str], *, seeds: int = 1, anew: bool = False
    ) -> list[str]:
        """Orders trials to be trained to the last rung, whatever the scheduler thinks of them.

        Args:
            trials: ids of the best configurations.
            seeds: trainings of each configuration, each with a seed of its own.
            anew: train every one from the beginning, also the first seed.

        Returns:
            The ids that will stand at the last rung when the runner is through.
        """
        return self._supply.finalists(trials, seeds=seeds, anew=anew)

    def _turn(self, event: Event) -> tuple[Scheduler, Metric]:
        if self._phases is None:
            raise GiveUp("the journal has phases, but the spec has none; use another --results")
        self._follow(self._phases(event))
        return self._scheduler, self.plan.metric

    def _follow(self, course: Course) -> None:
        self.plan, self._scheduler, self._searcher = course.plan, course.scheduler, course.searcher
        self._supply.course = course
        points = self.plan.resource.points
        self.between = frozenset(p for p in points if not self._scheduler.decides_at(p))

    def _decide(self, record: TrialRecord, report: Report) -> Decision:
        found = examine(report, self.plan.metric, record.resource)
        if isinstance(found, Failure):
            verdict = self.fail(record.config.trial, found)
            return Stop(verdict.reason)
        symptom, by = self._symptoms.look(record), "rule"
        top = self.plan.resource.max
        if record.finalist:
            decision: Decision = Continue("trained to the last rung for the ensemble")
            if report.resource >= top:
                decision = Stop("fully trained for the ensemble", completed=True)
        elif symptom and report.resource < top and report.resource not in self.between:
            self._scheduler.drop(record.config.trial)
            decision, by = Stop(symptom.reason), "diagnosis"
        else:
            decision = self._scheduler.decide(record.config.trial, report.resource, found)
        self._write_decision(record, report.resource, decision, by=by)
        if not isinstance(decision, Continue):
            self.active.discard(record.config.trial)
        return decision

    def _write_decision(
        self, record: TrialRecord, resource: int, decision: Decision, *, by: str
    ) -> None:
        self._write(
            "decided",
            trial=record.config.trial,
            resource=resource,
            decision=word(decision),
            state=state(decision),
            reason=decision.reason,
            by=by,
        )
        self._observe(record)

    def _observe(self, record: TrialRecord) -> None:
        if record.source != "finalist":
            self._searcher.observe(Observation.of(record, self.plan.metric))

    def _spent(self) -> bool:
        return self.plan.is_spent(self.elapsed() - self.history.extended_at)

    def _recover(self) -> None:
        """Decides what was reported but not decided, and queues what ran when all ended."""
        # What trained takes its slots back first; what waited for a slot keeps its order.
        cut_off = sorted(self.history.in_state("running"), key=lambda r: (r.began is None, r.seq))
        for record in cut_off:
            last = record.reports[-1] if record.reports else None
            self.active.add(record.config.trial)
            if last and last.resource > record.resource:
                self._decide(record, last)
            self.active.discard(record.config.trial)
            if record.state == "running":
                self._supply.put(record.config.trial)
