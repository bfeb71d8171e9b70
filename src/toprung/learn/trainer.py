"""Trains one trial: an assignment in, reports out, each backed by a checkpoint."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from toprung.core.errors import Interrupted
from toprung.core.threads import threads_of
from toprung.learn.device import give_back
from toprung.learn.plan import Plan
from toprung.learn.run import Run
from toprung.learn.stack import Failed, Stack
from toprung.trial.config import Assignment
from toprung.trial.report import Report


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
        torch.set_num_threads(threads_of(self.cpus))
        run = Run(self, assignment)
        device = run.device
        try:
            yield from [report for report in run.reports if report.resource > assignment.start]
            for point in self.resource.points:
                if point <= run.reached:
                    continue
                report = self._advance(run, point)
                # Those up to the start were reported in an earlier life, its checkpoints gone.
                if point > assignment.start:
                    yield report
        finally:
            del run
            give_back(device)

    def together(self, assignments: Sequence[Assignment]) -> Iterator[Report | Failed]:
        """Reports of several LoRA trials that are trained in shared passes; see ``Stack``.

        Raises:
            FixSpec: they do not fit each other, see ``group_of``.
            Interrupted, FixEnvironment: as where a trial is alone.
        """
        stack = Stack(self)
        for assignment in assignments:
            stack.join(assignment)
        yield from stack.reports()

    def _advance(self, run: Run, point: int) -> Report:
        # Another trial may have had its turn in this process since.
        torch.set_num_threads(threads_of(self.cpus))
        with run.streams.turn():
            if not run.train_to(point):
                run.save_partial()
                seen = run.loop.progress.position.examples
                raise Interrupted(f"{run.config.trial} was paused after {seen} examples")
            return run.report(point)
