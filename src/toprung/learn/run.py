"""One trial in training: its model, data and position, opened anew or from a checkpoint."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from toprung.core.memory import keep_heap
from toprung.core.seeds import derive_seed
from toprung.learn import losses, schedules
from toprung.learn.batches import Batches, row_weights
from toprung.learn.build import Build
from toprung.learn.builders import builder_of
from toprung.learn.checkpoint import (
    PARTIAL,
    Snapshot,
    State,
    checkpoint_beside,
    comparable_scores,
    newest_checkpoint,
    tidy_checkpoints,
)
from toprung.learn.device import resolve_device, take_share
from toprung.learn.evaluate import score_held_out
from toprung.learn.fence import Fence
from toprung.learn.loop import Feed, Loop, Passes, Progress
from toprung.learn.losses._base import Loss
from toprung.learn.model import count_parameters, load_weights
from toprung.learn.optimizer import Optimizer
from toprung.learn.patience import Patience
from toprung.learn.plan import PROGRESS, Plan
from toprung.learn.progress import ProgressLog
from toprung.learn.recompute import recompute_activations
from toprung.learn.settings import choose
from toprung.learn.streams import Streams
from toprung.learn.summaries.build import SummaryBuild
from toprung.learn.summaries.evaluate import score_written
from toprung.learn.texts import TextBuild
from toprung.trial.config import Assignment
from toprung.trial.report import Report

_FORMAT = 2
_SECONDS_WITHOUT_CHECKPOINT = 60.0
_TOKENS_AT_ONCE = {"cpu": 4096, "cuda": 65536}


class Run:
    """A trial between its first step and its last report.

    Attributes:
        config: what is trained.
        loop: the steps and how far they are.
        reports: given so far, in this life or an earlier one.
        streams: the trial's random generators.

    Args:
        plan: of the search.
        assignment: the trial, and how finely its batches are cut.

    Raises:
        FixSpec, FixEnvironment: see ``Trainer``.
    """

    def __init__(self, plan: Plan, assignment: Assignment) -> None:
        began = plan.clock.seconds()
        self.plan = plan
        self.config = assignment.config
        self.folder = plan.folder / self.config.trial
        self._fence = Fence(self.folder, assignment)
        self.task = plan.dataset.task
        self.device = torch.device(resolve_device(plan.device))
        take_share(self.device, plan.gpus)
        keep_heap()
        self.build: Build = builder_of(self.task)(plan, self.config, self.device)
        self.settings = self.build.settings
        self.streams = Streams(derive_seed(self.config.seed, "torch"), self.device)
        self.labels = np.concatenate(
            [plan.dataset.splits[name].labels for name in plan.trained_splits()]
        )
        unit = len(self.labels) if plan.resource.unit == "epochs" else 1
        self._examples_a_unit = unit
        with self.streams.turn():
            self.build.make_model()
        self.model = self.build.model
        if assignment.recomputes:
            recompute_activations(self.model)
        self._shrink = assignment.shrink
        self.patience = Patience(self.settings.patience)
        self.loop = self._make_loop()
        self.loop.on_step = ProgressLog(
            self.folder / PROGRESS, plan.clock, of=plan.resource.max * unit
        )
        self.reports: list[Report] = []
        self._seconds = 0.0
        self._trained_rows, self._trained_seconds = 0, 0.0
        self._unsaved_seconds = 0.0
        snapshot = newest_checkpoint(self.folder / "checkpoints", self.fingerprint())
        if snapshot is not None:
            self._restore(snapshot)
        self._seconds += plan.clock.seconds() - began

    @property
    def texts(self) -> TextBuild:
        """The parts of a trial on texts."""
        assert isinstance(self.build, TextBuild)
        return self.build

    @property
    def reached(self) -> int:
        """The resource of the last report; 0 before the first."""
        return self.reports[-1].resource if self.reports else 0

    def fingerprint(self) -> str:
        """A hash of everything that decides the weights; checkpoints of another one do not fit."""
        plan = self.plan
        facts: list[Any] = [_FORMAT, self.config.sha256(), plan.task, plan.dataset.sha256]
        facts += [plan.rows, plan.resource.unit, plan.resource.max, plan.precision]
        facts += self.build.identity()
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()

    def train_to(self, point: int) -> bool:
        """Trains to a resource; False where the pause file stopped it before. Within a turn."""
        began = self.plan.clock.seconds()
        try:
            return self.loop.train(self.passes(point))
        finally:
            self.spend(self.plan.clock.seconds() - began)

    def passes(self, point: int) -> Passes:
        """The micro-batches to a resource, as of ``Loop.passes``. Within turns.

        Of a trial that patience has ended there are none.
        """
        if self.patience.ended:
            return True
        before = self.loop.progress.position.examples
        reached = yield from self.loop.passes(point * self._examples_a_unit, self.plan.is_paused)
        self._trained_rows += self.loop.progress.position.examples - before
        return reached

    def spend(self, seconds: float) -> None:
        """Adds to the seconds that training took."""
        self._seconds += seconds
        self._trained_seconds += seconds
        self._unsaved_seconds += seconds

    def report(self, point: int) -> Report:
        """Scores held-out rows, writes scores and checkpoint, and says how it went.

        Only what is reported at a rung names its checkpoint; ``rows_to_score`` says what about.

        Raises:
            TrialDiverged: a score is not finite.
        """
        rung = self.plan.resource.is_rung(point)
        if not rung and self._unsaved_seconds < _SECONDS_WITHOUT_CHECKPOINT:
            self.reports.append(self._measure(point, None))
            return self.reports[-1]
        checkpoint = f"checkpoints/{point}" if rung else None
        # Weights are written while rows are scored, unless the score may bring others back.
        early = None if self.patience.reports is None else self._measure(point, checkpoint)
        with self._checkpoint(str(point)) as state:
            self.reports.append(early or self._measure(point, checkpoint))
            state.update(self._state())
        scores = comparable_scores(self.reports, self.plan.metric)
        tidy_checkpoints(self.folder / "checkpoints", scores)
        return self.reports[-1]

    def save_partial(self) -> None:
        """Writes a checkpoint between two points. Within a turn."""
        with self._checkpoint(PARTIAL) as state:
            state.update(self._state())

    def _measure(self, point: int, checkpoint: str | None) -> Report:
        began = self.plan.clock.seconds()
        over, metrics = self.patience.ended, self._score(point)
        if self._turns_back(point, metrics):
            metrics = self._score(point)
        if not over:
            metrics["train_loss"] = self.loop.take_mean_loss()
            if self.build.auxiliary is not None:
                metrics["train_auxiliary_loss"] = self.build.auxiliary.take_mean()
            metrics |= self.build.measure_inputs()
            metrics["learning_rate"] = self.loop.optimizer.rate
            metrics["rows_per_second"] = self._trained_rows / max(1e-9, self._trained_seconds)
        else:  # nothing was trained since
            metrics = {**self.reports[-1].metrics, **metrics}
        self._trained_rows, self._trained_seconds = 0, 0.0
        self._seconds += self.plan.clock.seconds() - began
        # Rounded as in the journal, so that a report that is given again is the same report.
        return Report(self.config.trial, point, metrics, round(self._seconds, 3), checkpoint)

    def _score(self, point: int) -> dict[str, float]:
        build, unit, shrink = self.build, self._examples_a_unit, self._shrink
        folder = self.folder / "predictions"
        if isinstance(build, SummaryBuild):
            return score_written(build, self.plan, point, unit=unit, shrink=shrink, folder=folder)
        return score_held_out(build, self.plan, point, unit=unit, shrink=shrink, folder=folder)

    def _turns_back(self, point: int, metrics: Mapping[str, float]) -> bool:
        """Whether patience, at its end or at the last point, brought better weights back."""
        patience, metric = self.patience, self.plan.metric
        if patience.reports is None or patience.ended or metric.name not in metrics:
            return False
        score, rows = metric.rate(metrics), int(metrics.get("evaluated_rows", 0))
        patience.hear(score, self.model.trainable(), rows=rows)
        over = patience.ended or point == self.plan.resource.max
        if not over or score >= patience.best:
            return False
        patience.give_back(self.model.trainable())
        return True

    @contextmanager
    def _checkpoint(self, name: str) -> Iterator[State]:
        moments = {f"optimizer.{k}": v for k, v in self.loop.optimizer.state().items()}
        random = {f"random.{k}": v for k, v in self.streams.state().items()}
        folder = self.folder / "checkpoints" / name
        weights = {name: p.detach() for name, p in self.model.trainable().items()}
        best = {f"best.{k}": v for k, v in self.patience.tensors().items()}
        self._fence.check()
        with checkpoint_beside(folder, weights, {**moments, **random, **best}) as state:
            yield state
        self._unsaved_seconds = 0.0

    def _make_loop(self) -> Loop:
        settings, plan = self.settings, self.plan
        inputs = self.build.training_inputs()
        batches = Batches(
            lengths=inputs.lengths,
            size=settings.batch_size * settings.accumulation,
            seed=self.config.seed,
            weights=row_weights(self.task.strata(self.labels), settings.sampling),
        )
        feed = Feed(
            inputs=inputs,
            targets=torch.from_numpy(self.task.targets(self.labels)).to(self.device),
            batches=batches,
            micro=max(1, settings.batch_size // self._shrink),
            micro_tokens=_TOKENS_AT_ONCE.get(self.device.type, 4096) // self._shrink,
            auxiliary=self.build.auxiliary,
        )
        loss: Loss = choose(losses.registry, self.config, "loss", self.task.losses[0])
        counts = self.task.marks(self.labels, plan.dataset.classes).sum(axis=0)
        weights = loss.prepare(torch.from_numpy(counts), len(self.labels))
        optimizer = Optimizer(
            self.model,
            settings,
            choose(schedules.registry, self.config, "schedule", "linear"),
            total=plan.resource.max * self._examples_a_unit,
        )
        kept = None if weights is None else weights.to(self.device)
        return Loop(self.model, feed, (loss, kept), optimizer)

    def _state(self) -> dict[str, Any]:
        progress = self.loop.progress
        return {
            "fingerprint": self.fingerprint(),
            "examples": max(progress.position.examples, self.reached * self._examples_a_unit),
            "progress": progress.to_json(),
            "schedule": self.loop.optimizer.schedule.state(),
            "seconds": self._seconds,
            "reports": [report.to_json() for report in self.reports],
            **self.patience.state(),
            **self.build.state(),
            "model": {
                "task": self.plan.task,
                "trial": self.config.trial,
                "values": dict(self.config.values),
                "seed": self.config.seed,
                "precision": self.plan.precision,
                "label_names": list(self.plan.dataset.label_names),
                **self.build.facts(),
                "data_sha256": self.plan.dataset.sha256,
                "rows": self.plan.rows,
                "parameters": count_parameters(self.model),
            },
        }

    def _restore(self, snapshot: Snapshot) -> None:
        load_weights(self.model.trainable(), snapshot.weights)
        split: dict[str, dict[str, torch.Tensor]] = {"optimizer": {}, "random": {}, "best": {}}
        for name, tensor in snapshot.training.items():
            kind, _, rest = name.partition(".")
            split[kind][rest] = tensor
        self.loop.optimizer.restore(split["optimizer"])
        self.loop.optimizer.schedule.restore(snapshot.state["schedule"])
        self.loop.progress = Progress.from_json(snapshot.state["progress"])
        self.streams.restore(split["random"])
        self.patience.restore(snapshot.state, split["best"])
        self.build.restore(snapshot.state)
        self.reports = [Report.from_json(report) for report in snapshot.state["reports"]]
        self._seconds = float(snapshot.state["seconds"])
