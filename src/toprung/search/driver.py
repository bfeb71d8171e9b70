"""Free slots into assignments, reports into decisions; every step is journaled first."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from toprung import __version__
from toprung.core.errors import GiveUp
from toprung.core.seeds import derive_seed
from toprung.search.course import Course
from toprung.search.failures import common_failure, has_crashed, judge, why_over
from toprung.search.ledger import Ledger, Watcher
from toprung.search.plan import Plan
from toprung.search.replay import Replay, state, word
from toprung.search.schedulers._base import Scheduler
from toprung.search.searchers._base import Observation, Searcher
from toprung.search.symptoms import Diagnose, Symptoms, find_nothing
from toprung.trial.config import Assignment, trial_id
from toprung.trial.decision import Continue, Decision, Failure, Promotion, State, Stop, Verdict
from toprung.trial.history import TrialRecord
from toprung.trial.journal import Event, Journal
from toprung.trial.report import Metric, Report, examine


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
        self._queue: deque[str] = deque()
        self._phases = phases
        self._follow(Course(plan, scheduler, searcher))
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
            self.write("opened", version=__version__)
            self._recover()

    def write(self, kind: str, **fields: object) -> Event:
        """Journals an event, takes it into the history, and tells the watchers."""
        return self._ledger.write(kind, **fields)

    def together(self) -> AbstractContextManager[object]:
        """The block's events share one wait for the disk; the watchers hear them after it."""
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
            record = self._next()
            if record is None:
                return None
            trial, start = record.config.trial, record.resource
            self._write("started", trial=trial, attempt=record.attempt, **{"from": start})
        self.active.add(trial)
        return Assignment(record.config, start, record.attempt, record.shrink)

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
        verdict = judge(failure, record.failures)
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
            self._queue.append(trial)
        else:
            self._scheduler.drop(trial)
            self._observe(record)
        return verdict

    def leave(self, trial: str) -> None:
        """Takes note that a trial left its slot without a report, to go on another time."""
        self.active.discard(trial)
        if not self.interrupted and self.history.trials[trial].state == "running":
            self._queue.append(trial)

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
        wanted: list[str] = []
        for trial in trials:
            record = self.history.trials[trial]
            if not anew:
                wanted.append(trial)
                if not record.finalist and record.state not in ("completed", "running"):
                    self._write("finalist", trial=trial, reason="chosen for the ensemble")
                    self._scheduler.drop(trial)
                    self._queue.append(trial)
            for number in range(0 if anew else 1, seeds):
                wanted.append(self._another_seed(record, number))
        return wanted

    def _turn(self, event: Event) -> tuple[Scheduler, Metric]:
        if self._phases is None:
            raise GiveUp("the journal has phases, but the spec has none; use another --results")
        self._follow(self._phases(event))
        return self._scheduler, self.plan.metric

    def _follow(self, course: Course) -> None:
        self.plan, self._scheduler, self._searcher = course.plan, course.scheduler, course.searcher
        points = self.plan.resource.points
        self.between = frozenset(p for p in points if not self._scheduler.decides_at(p))

    def _another_seed(self, record: TrialRecord, number: int) -> str:
        name = f"{record.config.trial}-s{number}"
        if name not in self.history.trials:
            seed = derive_seed(self.plan.seed, name)
            values = dict(record.config.values)
            self._write(
                "suggested", trial=name, values=values, seed=seed, source="finalist", bracket=0
            )
            self._queue.append(name)
        return name

    def _next(self) -> TrialRecord | None:
        while self._queue:
            record = self.history.trials[self._queue.popleft()]
            if record.state == "running":
                return record
        if self.history.closed is not None or has_crashed(self.history, self.plan.crashes):
            return None
        return self._promoted() or self._suggested() or self._last_climb()

    def _promoted(self) -> TrialRecord | None:
        return None if self._spent() else self._climb(self._scheduler.promote(), "rule")

    def _climb(self, promotion: Promotion | None, by: str) -> TrialRecord | None:
        if promotion is None:
            return None
        self._write("promoted", trial=promotion.trial, reason=promotion.reason, by=by)
        return self.history.trials[promotion.trial]

    def _suggested(self) -> TrialRecord | None:
        total = len(self.history.suggested) + 1
        number = total - self.history.phase_begins
        if number > self.plan.trials + self.history.extended or self._spent():
            return None
        if common_failure(self.history):
            return None
        suggestion = self._searcher.suggest(number)
        if suggestion is None:
            return None
        name = trial_id(total)
        self._write(
            "suggested",
            trial=name,
            values=suggestion,
            seed=derive_seed(self.plan.seed, name),
            source=self._searcher.source(number),
            bracket=self._scheduler.add(name),
        )
        self._observe(self.history.trials[name])
        return self.history.trials[name]

    def _last_climb(self) -> TrialRecord | None:
        return None if self.active else self._climb(self._scheduler.finale(), "finale")

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
            if record.state == "running" and record.config.trial not in self._queue:
                self._queue.append(record.config.trial)
