"""Trains one trial: an assignment in, reports out, each backed by a checkpoint."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

from toprung.core.errors import Interrupted
from toprung.core.later import later
from toprung.core.memory import trim_heap
from toprung.core.threads import threads_of
from toprung.learn.plan import Plan
from toprung.trial.config import Assignment
from toprung.trial.report import Report

# A driver makes trainers and sends them away: torch is only imported where one is called.
torch, device, stack = later("torch"), later("toprung.learn.device"), later("toprung.learn.stack")
run, checkpoint = later("toprung.learn.run"), later("toprung.learn.checkpoint")


@dataclass(frozen=True)
class Trainer(Plan):
    """Trains assignments; a value that can be sent to another process.

    A call trains to each of the resource's points above the assignment's start, scores held-out
    rows there and yields the report. At a rung it writes a checkpoint first, between rungs only
    where more than a minute of training would be lost without one. A report that stands in a
    checkpoint is given again, not trained again. Closing the generator stops the trial.

    The fields are those of ``Plan``.
    """

    def __call__(self, assignment: Assignment) -> Iterator[Report]:
        """Reports of the trial at each point above the assignment's start.

        Raises:
            TrialDiverged: a loss or a score is not finite.
            Interrupted: the pause file exists; a later call goes on from there, bit for bit.
            FixSpec: the configuration does not fit the backbone.
            FixEnvironment: the backbone cannot be loaded.
        """
        plan = self.on_this_node()
        kept = plan.kept
        with nullcontext() if kept is None else kept.at_hand(assignment.config.trial):
            yield from self._train(plan, assignment)

    def _train(self, plan: Plan, assignment: Assignment) -> Iterator[Report]:
        torch.set_num_threads(threads_of(self.cpus))
        trial = run.Run(plan, assignment)
        where = trial.device
        note = ""
        if trial.reached < assignment.start:
            note = f"no whole checkpoint at {assignment.start}; went on from {trial.reached}"
        again = [report for report in trial.reports if report.resource > assignment.start]
        for report in again:
            # The storage may have been away, or this process ended, before it had them.
            self._keep(trial, str(report.resource))
        try:
            yield from again
            for point in self.resource.points:
                if point <= trial.reached:
                    continue
                report = self._advance(trial, point)
                # Those up to the start were reported in an earlier life, its checkpoints gone.
                if point > assignment.start:
                    yield replace(report, note=note)
                    note = ""
        finally:
            del trial
            device.give_back(where)

    def together(self, assignments: Sequence[Assignment]) -> Iterator[Any]:
        """Reports, or ``Failed``, of LoRA trials that are trained in shared passes; see ``Stack``.

        Raises:
            FixSpec: they do not fit each other, see ``group_of``.
            Interrupted, FixEnvironment: as where a trial is alone.
        """
        found = stack.Stack(self)
        for assignment in assignments:
            found.join(assignment)
        yield from found.reports()

    def _advance(self, trial: Any, point: int) -> Report:
        # Another trial may have had its turn in this process since.
        torch.set_num_threads(threads_of(self.cpus))
        with trial.streams.turn():
            if not trial.train_to(point):
                trial.save_partial()
                self._keep(trial, checkpoint.PARTIAL)
                seen = trial.loop.progress.position.examples
                raise Interrupted(f"{trial.config.trial} was paused after {seen} examples")
            report: Report = trial.report(point)
        trim_heap()
        self._keep(trial, str(point))
        return report

    def _keep(self, trial: Any, name: str) -> None:
        """Puts a checkpoint, where one was written, on the storage before anybody hears of it."""
        if trial.plan.kept is not None:
            scores = checkpoint.comparable_scores(trial.reports, self.metric)
            trial.plan.kept.push(trial.config.trial, name, scores)
