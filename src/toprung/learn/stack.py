"""Several LoRA trials on one frozen backbone, trained side by side in shared passes."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

import torch

from toprung.core.errors import FixSpec, Interrupted, Problem, TrialDiverged
from toprung.learn.backbone.stacked import Branch
from toprung.learn.loop import Part, Passes
from toprung.learn.plan import Plan
from toprung.learn.run import Run
from toprung.learn.trunk import Trunk
from toprung.trial.config import Assignment, TrialConfig
from toprung.trial.report import Report


@dataclass(frozen=True)
class Failed:
    """A trial that left a stack with an error; the others go on.

    Attributes:
        trial: its id.
        error: ``TrialDiverged``.
    """

    trial: str
    error: TrialDiverged


def group_of(config: TrialConfig) -> Hashable | None:
    """What configurations must have in common to be stacked; None where one cannot be.

    >>> one = TrialConfig("t0001", {"adapter": "lora", "adapter.lora.rank": 4}, 0)
    >>> other = TrialConfig("t0002", {"adapter": "lora", "adapter.lora.rank": 64}, 0)
    >>> group_of(one) == group_of(other)
    True
    >>> group_of(TrialConfig("t0003", {"adapter": "full"}, 0)) is None
    True
    """
    if config.values.get("adapter") != "lora" or config.values.get("augmenter", "none") != "none":
        return None
    backbone = config.values.get("backbone")
    depth = None if backbone is None else config.component("backbone")[1].get("depth")
    return backbone, depth, config.component("adapter")[1].get("layers", "all")


class Stack:
    """Trains several trials by one forward and one backward pass over the rows of all.

    Each trial is a ``Run`` like any other, with its own rank, loss, rate, schedule, pooling,
    head, dropout, order of rows, batch size, accumulation, optimiser, random stream, checkpoints
    and reports; it can go on alone from a stack's checkpoint, and in a stack from its own. A
    pass takes one micro-batch of each trial, wherever each stands; a trial steps when its own
    batch is complete. What they must share: backbone, depth, precision and adapted matrices.

    Losses are those of the trial alone. In float32 on one thread of a CPU most are equal in
    every bit, dropout included; where not, they differ by about 1e-7 of their size, because a
    matrix product over more rows may sum in another order.

    It pays where a trial alone leaves the device waiting: on a graphics card, whose launches
    and narrow products take as long for one small batch as for many (up to 12.8 times in PLoRA,
    arXiv:2508.02932, up to 15.1 in HFTA, arXiv:2102.02344; not measured here, for want of a
    card). On a CPU, which one trial fills, it gains nothing, so nothing stacks trials unasked.
    Memory grows with the trials: where it runs out, the pass raises, and whoever called goes on
    with fewer trials from their checkpoints.

    Args:
        plan: of the search.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._seats: list[_Seat] = []
        self._trunk: Trunk | None = None
        self._heard: deque[Report | Failed] = deque()

    @property
    def trials(self) -> list[str]:
        """Ids of the trials that are in training."""
        return [seat.trial for seat in self._seats]

    def join(self, assignment: Assignment) -> None:
        """Puts a trial beside the others, from its newest checkpoint where it has one.

        Raises:
            FixSpec: it does not fit the others, or its adapter cannot be stacked.
            FixEnvironment: the backbone cannot be loaded.
        """
        torch.set_num_threads(self.plan.cpus)
        seat = _Seat(Run(self.plan, assignment), assignment.start)
        if not seat.branch.targets or not seat.branch.stackable:
            text = "only lora can be stacked, and not on DeBERTa, whose attention is its own code."
            raise FixSpec(seat.trial, [Problem("adapter", text)])
        if seat.run.texts.augmenter.changes:
            text = "texts that change from epoch to epoch cannot be stacked; take none."
            raise FixSpec(seat.trial, [Problem("augmenter", text)])
        if not self._seats:
            self._trunk = Trunk(seat.run, seat.branch)
        assert self._trunk is not None
        self._trunk.check(seat.run, seat.branch)
        self._heard += [r for r in seat.run.reports if r.resource > assignment.start]
        self._seats.append(seat)

    def leave(self, trial: str) -> None:
        """Stops a trial where it stands; what it has saved stays, and the others go on."""
        self._seats = [seat for seat in self._seats if seat.trial != trial]

    def reports(self) -> Iterator[Report | Failed]:
        """Trains until every trial is at its last point, telling of each point reached.

        Between two reports trials may ``join`` and ``leave``. Checkpoints are written where
        ``Trainer`` writes them.

        Raises:
            Interrupted: the pause file exists; each trial goes on from where it is, bit for bit.
        """
        paused: list[str] = []
        while self._seats or self._heard:
            torch.set_num_threads(self.plan.cpus)
            asked = self._ask(paused)
            while self._heard:
                yield self._heard.popleft()
            asked = [(seat, part) for seat, part in asked if seat in self._seats]
            if asked:
                self._pass(asked)
        if paused:
            raise Interrupted(f"{', '.join(paused)} were paused between two points")

    def _ask(self, paused: list[str]) -> list[tuple[_Seat, Part]]:
        """The next micro-batch of each trial; those that have ended leave."""
        asked: list[tuple[_Seat, Part]] = []
        for seat in list(self._seats):
            try:
                part = seat.next_part(self._heard)
            except TrialDiverged as error:
                self._heard.append(Failed(seat.trial, error))
                part = None
            except Interrupted:
                paused.append(seat.trial)
                part = None
            if part is None:
                self.leave(seat.trial)
            else:
                asked.append((seat, part))
        return asked

    def _pass(self, asked: Sequence[tuple[_Seat, Part]]) -> None:
        assert self._trunk is not None
        began = self.plan.clock.seconds()
        blocks = self._trunk.blocks([(seat.run, seat.branch, part.rows) for seat, part in asked])
        losses: list[torch.Tensor] = []
        found = self._trunk.upper(blocks)
        for (seat, part), block, states in zip(asked, blocks, found, strict=True):
            run = seat.run
            with run.streams.turn():
                scores = run.texts.model.score(states, block.mask)
            losses.append(run.loop.loss_of(part, scores))
        torch.stack(losses).sum().backward()  # type: ignore[no-untyped-call]
        seconds = self.plan.clock.seconds() - began
        tokens = sum(block.tokens for block in blocks)
        for (seat, _), block in zip(asked, blocks, strict=True):
            seat.part = None
            # Its share: the seconds of all trials add up to those that went by.
            seat.run.spend(seconds * block.tokens / tokens)


class _Seat:
    """A trial in a stack: its run, and the passes to its next point."""

    def __init__(self, run: Run, start: int) -> None:
        self.run = run
        self.trial = run.config.trial
        self.branch = Branch(run.texts.model.encoder, run.streams)
        self._start = start
        self._points = iter([p for p in run.plan.resource.points if p > run.reached])
        self._passes: tuple[int, Passes] | None = None
        self.part: Part | None = None

    def next_part(self, heard: deque[Report | Failed]) -> Part | None:
        """The next micro-batch, after the step and the report that come before it.

        Returns:
            None where the last point is reached.

        Raises:
            TrialDiverged: a loss or a score is not finite.
            Interrupted: the pause file exists; a partial checkpoint was written.
        """
        while self.part is None:
            if self._passes is None:
                point = next(self._points, None)
                if point is None:
                    return None
                self._passes = (point, self.run.passes(point))
            point, passes = self._passes
            with self.run.streams.turn():
                began = self.run.plan.clock.seconds()
                try:
                    self.part = next(passes)
                    break
                except StopIteration as ended:
                    reached = bool(ended.value)
                finally:
                    self.run.spend(self.run.plan.clock.seconds() - began)
                if not reached:
                    self.run.save_partial()
                    raise Interrupted(self.trial)
                report = self.run.report(point)
            if point > self._start:
                heard.append(report)
            self._passes = None
        return self.part
