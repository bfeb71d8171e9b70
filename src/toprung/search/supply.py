"""Who trains next: those that wait, promotions, new suggestions, likely finalists."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from toprung.core.seeds import derive_seed
from toprung.search.course import Course
from toprung.search.failures import common_failure, halting_failure, has_crashed
from toprung.trial.config import trial_id
from toprung.trial.decision import Promotion
from toprung.trial.history import History, TrialRecord
from toprung.trial.journal import Event


class Supply:
    """Hands out trials, and journals each as it is suggested or promoted.

    Attributes:
        course: that is followed; the driver sets it anew when a phase begins.
    """

    def __init__(
        self,
        course: Course,
        history: History,
        write: Callable[..., Event],
        observe: Callable[[TrialRecord], None],
    ) -> None:
        """Begins with an empty queue.

        Args:
            course: to follow.
            history: of the search.
            write: journals an event.
            observe: shows a trial to the searcher.
        """
        self.course = course
        self._history, self._write, self._observe = history, write, observe
        self._queue: deque[str] = deque()

    def put(self, trial: str) -> None:
        """Has a trial wait for a slot, unless it waits already."""
        if trial not in self._queue:
            self._queue.append(trial)

    def next(self, *, at_work: bool, is_spent: bool) -> TrialRecord | None:
        """The trial that takes the next slot; None where there is nothing to do now.

        Args:
            at_work: whether anything trains.
            is_spent: whether the time budget is.
        """
        history = self._history
        if halting_failure(history) is not None:
            return None
        for trial in tuple(self._queue):
            record = history.trials[trial]
            # Members of the ensemble wait for the search's end: they may train on other rows.
            if record.source == "finalist" and history.closed is None:
                continue
            self._queue.remove(trial)
            if record.state == "running":
                return record
        if history.closed is not None or has_crashed(history, self.course.plan.crashes):
            return None
        scheduler = self.course.scheduler
        if not is_spent:
            promoted = self._climb(scheduler.promote(), "rule") or self._suggested()
            if promoted is None and at_work:
                promoted = self._climb(scheduler.ahead(), "ahead")
            if promoted is not None:
                return promoted
        return None if at_work else self._climb(scheduler.finale(), "finale")

    def finalists(self, trials: Sequence[str], *, seeds: int, anew: bool) -> list[str]:
        """Queues trials for the last rung; see ``Driver.train_fully``."""
        wanted: list[str] = []
        for trial in trials:
            record = self._history.trials[trial]
            if not anew:
                wanted.append(trial)
                if not record.finalist and record.state not in ("completed", "running"):
                    self._write("finalist", trial=trial, reason="chosen for the ensemble")
                    self.course.scheduler.drop(trial)
                    self.put(trial)
            for number in range(0 if anew else 1, seeds):
                wanted.append(self._another_seed(record, number))
        return wanted

    def _another_seed(self, record: TrialRecord, number: int) -> str:
        name = f"{record.config.trial}-s{number}"
        if name not in self._history.trials:
            seed = derive_seed(self.course.plan.seed, name)
            values = dict(record.config.values)
            self._write(
                "suggested", trial=name, values=values, seed=seed, source="finalist", bracket=0
            )
            self.put(name)
        return name

    def _climb(self, promotion: Promotion | None, by: str) -> TrialRecord | None:
        if promotion is None:
            return None
        self._write("promoted", trial=promotion.trial, reason=promotion.reason, by=by)
        return self._history.trials[promotion.trial]

    def _suggested(self) -> TrialRecord | None:
        history, plan = self._history, self.course.plan
        total = len(history.suggested) + 1
        number = total - history.phase_begins
        if number > plan.trials + history.extended or common_failure(history):
            return None
        suggestion = self.course.searcher.suggest(number)
        if suggestion is None:
            return None
        name = trial_id(total)
        self._write(
            "suggested",
            trial=name,
            values=suggestion,
            seed=derive_seed(plan.seed, name),
            source=self.course.searcher.source(number),
            bracket=self.course.scheduler.add(name),
        )
        self._observe(history.trials[name])
        return history.trials[name]
