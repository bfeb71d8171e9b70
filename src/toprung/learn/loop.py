"""Trains a model to a point: steps of micro-batches, checked, counted and interruptible."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any

import torch

from toprung.core.errors import TrialDiverged
from toprung.learn.batches import Batches, Position, Rows, cut
from toprung.learn.inputs import RowInputs
from toprung.learn.losses._base import Loss
from toprung.learn.model import Model
from toprung.learn.optimizer import Optimizer
from toprung.learn.series.auxiliary import Auxiliary

_STEPS_BETWEEN_SYNCS = 50


@dataclass(frozen=True)
class Feed:
    """What the model is trained on.

    Attributes:
        inputs: N rows.
        targets: (N, ...) on the model's device.
        batches: the rows of each step.
        micro: most rows that go through the model at once.
        micro_tokens: most tokens, padding included, unless one row alone has more.
        auxiliary: further losses, of scores that stand behind the others; None has none.
    """

    inputs: RowInputs
    targets: torch.Tensor
    batches: Batches
    micro: int
    micro_tokens: int
    auxiliary: Auxiliary | None = None


@dataclass
class Progress:
    """How far training is; all of it stands in checkpoints.

    Attributes:
        position: in the order of rows.
        steps: of the optimiser.
        loss_sum, loss_rows: since the last report.
        window_sum, window_rows: since the schedule last heard.
    """

    position: Position = field(default_factory=Position)
    steps: int = 0
    loss_sum: float = 0.0
    loss_rows: int = 0
    window_sum: float = 0.0
    window_rows: int = 0

    def to_json(self) -> dict[str, Any]:
        """The progress as JSON values; floats are exact."""
        return {**vars(self), "position": vars(self.position)}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Progress:
        """The progress that ``to_json`` wrote."""
        return cls(**{**value, "position": Position(**value["position"])})


@dataclass(frozen=True)
class Part:
    """A micro-batch.

    Attributes:
        rows: of the training rows, (B,).
        of: rows of the whole step.
        epoch: passes over the training rows that were complete before.
    """

    rows: Rows
    of: int
    epoch: int = 0


Passes = Generator[Part, None, bool]
"""The micro-batches to a point, and in the end whether the point was reached."""


class Loop:
    """Steps of one trial.

    Args:
        model: trained in place.
        feed: rows and their order.
        loss: with weights of classes, if any.
        optimizer: and its schedule.

    Attributes:
        on_step: called with the loop after each step; None where nobody listens.
        last_loss: of the last step that was heard of; 0 before.
    """

    def __init__(
        self,
        model: Model,
        feed: Feed,
        loss: tuple[Loss, torch.Tensor | None],
        optimizer: Optimizer,
    ) -> None:
        self.model = model
        self.feed = feed
        self.loss, self.class_weights = loss
        self.optimizer = optimizer
        self.progress = Progress()
        self.on_step: Callable[[Loop], None] | None = None
        self.last_loss = 0.0
        self._sums: list[torch.Tensor] = []
        self._pending: list[tuple[torch.Tensor, int]] = []
        self._device = feed.targets.device

    def train(self, passes: Passes) -> bool:
        """Trains on micro-batches, as of ``passes``, to their end and its answer."""
        while True:
            try:
                part = next(passes)
            except StopIteration as ended:
                return bool(ended.value)
            scores = self.feed.inputs.scores(self.model, part.rows, part.epoch)
            self.loss_of(part, scores).backward()  # type: ignore[no-untyped-call]

    def passes(self, examples: int, interrupted: Callable[[], bool]) -> Passes:
        """Micro-batches until so many examples were seen in all; the last step may go past it.

        Whoever takes a micro-batch scores it, and calls ``backward`` on ``loss_of`` it before
        asking for the next. The optimiser steps in between, when a batch is complete.

        Args:
            examples: to reach.
            interrupted: asked before each step.

        Returns:
            Whether it was reached; False where training was interrupted, between two steps.

        Raises:
            TrialDiverged: a loss is not finite.
        """
        self.model.train()
        rows_to_come = self.feed.batches.after(self.progress.position)
        while self.progress.position.examples < examples:
            if interrupted():
                self._hear_losses()
                return False
            rows, after = next(rows_to_come)
            feed = self.feed
            for part in cut(rows, feed.batches.lengths[rows], feed.micro, feed.micro_tokens):
                yield Part(part, len(rows), after.epoch)
            before = self.progress.position.examples
            self._step(before, len(rows))
            self.progress.position = after
            self.progress.steps += 1
            if self._device.type == "cpu" or len(self._pending) >= _STEPS_BETWEEN_SYNCS:
                self._hear_losses()
            if self.optimizer.passes_hundredth(before, after.examples):
                self._tell_schedule()
            if self.on_step is not None:
                self.on_step(self)
        self._hear_losses()
        return True

    def take_mean_loss(self) -> float:
        """The mean training loss of the rows since this was last asked."""
        progress = self.progress
        mean = progress.loss_sum / max(1, progress.loss_rows)
        progress.loss_sum, progress.loss_rows = 0.0, 0
        return mean

    def loss_of(self, part: Part, scores: torch.Tensor) -> torch.Tensor:
        """A micro-batch's part of its step's loss, from its rows' scores; it is also noted."""
        rows = torch.from_numpy(part.rows).to(self._device)
        auxiliary, behind = self.feed.auxiliary, 0
        if auxiliary is not None:
            behind = auxiliary.outputs
        own = scores[:, : scores.shape[1] - behind] if behind else scores
        total = self.loss(own, self.feed.targets[rows], self.class_weights).sum() / part.of
        if auxiliary is not None:
            total = total + auxiliary(scores[:, -behind:], rows).sum() / part.of
        self._sums.append(total.detach())
        return total

    def _step(self, examples: int, rows: int) -> None:
        self.optimizer.step(examples, rows)
        sums = self._sums
        self._pending.append((sums[0] if len(sums) == 1 else torch.stack(sums).sum(), rows))
        self._sums = []

    def _hear_losses(self) -> None:
        if not self._pending:
            return
        values = torch.stack([loss for loss, _ in self._pending]).tolist()
        first = self.progress.steps - len(values)
        for i, (value, (_, rows)) in enumerate(zip(values, self._pending, strict=True)):
            if not math.isfinite(value):
                raise TrialDiverged(f"the training loss is {value} at step {first + i + 1}")
            self.progress.loss_sum += value * rows
            self.progress.loss_rows += rows
            self.progress.window_sum += value * rows
            self.progress.window_rows += rows
        self.last_loss = values[-1]
        self._pending.clear()

    def _tell_schedule(self) -> None:
        self._hear_losses()
        progress = self.progress
        self.optimizer.schedule.observe(progress.window_sum / max(1, progress.window_rows))
        progress.window_sum, progress.window_rows = 0.0, 0
