"""Where a running search stands: a fold over its events, for whatever face shows it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path

from tqdm.auto import tqdm

from toprung.api.courses import metric_of, resource_of
from toprung.judge.leaderboard import best_trial, rank_trials
from toprung.learn.plan import PROGRESS
from toprung.search.schedulers._base import rungs
from toprung.spec.choices import Component
from toprung.spec.spec import SearchSpec
from toprung.trial.config import Resource
from toprung.trial.history import History
from toprung.trial.journal import Event

_DRAW_SECONDS = 0.25


@dataclass(frozen=True)
class Standing:
    """Numbers of a live table.

    Attributes:
        counts: trials by state.
        best: trial and metric of the best so far; None before the first report.
        eta_seconds: until the search phase is through, at the pace so far; None while unknown.
        disk_left: bytes free where results are written.
    """

    counts: Mapping[str, int]
    suggested: int
    trials: int
    best: tuple[str, float] | None
    elapsed: float
    eta_seconds: float | None
    disk_left: int


@dataclass(frozen=True)
class Step:
    """What a trial last said between two reports; see ``ProgressLog``."""

    trial: str
    step: int
    examples: int
    of: int
    loss: float
    learning_rate: float
    rows_per_second: float
    cpu: float
    memory_bytes: int
    disk_free_bytes: int
    eta_seconds: float

    def words(self) -> str:
        """The step on one line.

        >>> last = Step("t0003", 120, 3840, 40000, 0.71, 2e-4, 84.0, 0.98, 2**30, 40 * 2**30, 430.0)
        >>> last.words().partition(": ")[2]
        'loss 0.7100, rate 0.0002, 84 rows/s, 0.98 cores, 1.0 GiB, disk 40 GiB, ETA 430 s'
        """
        return (
            f"{self.trial} step {self.step:,}, {self.examples:,} of {self.of:,}: "
            f"loss {self.loss:.4f}, rate {self.learning_rate:.3g}, {self.rows_per_second:.0f} "
            f"rows/s, {self.cpu:.2f} cores, {self.memory_bytes / 2**30:.1f} GiB, "
            f"disk {self.disk_free_bytes / 2**30:.0f} GiB, ETA {self.eta_seconds:.0f} s"
        )


def read_step(folder: Path, trial: str) -> Step | None:
    """The last whole line of a trial's ``progress.jsonl``; None where there is none."""
    try:
        with (folder / trial / PROGRESS).open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - 2048))
            # Only what ends in a line break is whole; a line may just be being written.
            lines = file.read().rpartition(b"\n")[0].splitlines()
        said = json.loads(lines[-1])
        names = [known.name for known in fields(Step) if known.name != "trial"]
        return Step(trial=trial, **{name: said[name] for name in names})
    except (OSError, ValueError, KeyError, IndexError, TypeError):
        return None


def peak_memory(trials: Path) -> int:
    """The most memory that any trial told on its way, in bytes; 0 where none did.

    Args:
        trials: folder of the trials' folders.
    """
    largest = 0
    for path in trials.glob(f"*/{PROGRESS}"):
        with suppress(OSError), path.open("rb") as file:
            for line in file:
                # The last line of a process that was killed may be half of one.
                with suppress(ValueError, KeyError, TypeError):
                    largest = max(largest, int(json.loads(line)["memory_bytes"]))
    return largest


class Progress:
    """Follows a search's events and says where it stands."""

    def __init__(self, spec: SearchSpec, folder: Path, history: History | None = None) -> None:
        self.spec = spec
        self.history = history or History()
        self._folder = folder
        self._elapsed = 0.0

    def __call__(self, event: Event) -> None:
        """Takes in an event."""
        self.history.apply(event)
        self._elapsed = event["at"]

    def standing(self) -> Standing:
        """Where the search stands after the last event."""
        records = list(self.history.trials.values())
        counts: dict[str, int] = {}
        for record in records:
            counts[record.state] = counts.get(record.state, 0) + 1
        best = best_trial(rank_trials(self.history, metric_of(self.spec, self.history)))
        existing = next(p for p in (self._folder, *self._folder.parents) if p.exists())
        return Standing(
            counts=counts,
            suggested=len(records),
            trials=self._trials(),
            best=None if best is None or best.score is None else (best.trial, best.score),
            elapsed=self._elapsed,
            eta_seconds=self._eta(),
            disk_left=shutil.disk_usage(existing).free,
        )

    def at_work(self) -> list[Step]:
        """The latest step of each trial that trains, as far as it has told any."""
        running = [r for r in list(self.history.trials.values()) if r.state == "running"]
        found = [read_step(self._folder / "trials", record.config.trial) for record in running]
        return [step for step in found if step is not None]

    def _trials(self) -> int:
        """Of the search, or of all phases that were begun: later ones may never be."""
        history = self.history
        if not history.phases:
            return self.spec.trials + history.extended
        return history.phase_begins + int(history.phases[-1].event["trials"]) + history.extended

    def _eta(self) -> float | None:
        if self.history.forecast is not None and not self.history.is_over:
            # Until the plan's end; beyond the forecast only the pace so far can tell.
            expected = float(self.history.forecast["until"][-1]["middle"])
            if expected > self._elapsed:
                return expected - self._elapsed
        # Of the phase at work where there are phases: nobody knows yet which ones follow.
        history = self.history
        spent = sum(record.resource for record in history.in_phase())
        if not spent or history.closed is not None:
            return None
        began = float(history.phases[-1].event["at"]) if history.phases else 0.0
        return (self._elapsed - began) * max(0.0, self._expected() / spent - 1)

    def _expected(self) -> float:
        """Resource that the search, or the phase at work, is expected to spend."""
        more = self.history.extended
        if not self.history.phases:
            trials = self.spec.trials + more
            return _expected_resource(self.spec.scheduler, trials, self.spec.resource)
        begun = self.history.phases[-1]
        phase = self.spec.phases[begun.number - 1]
        trials = int(begun.event["trials"]) + more
        return _expected_resource(phase.scheduler, trials, resource_of(phase, begun.event))


def _expected_resource(scheduler: Component, trials: int, resource: Resource) -> float:
    """What ASHA is expected to spend: one in eta of each rung climbs to the next."""
    eta = scheduler.options.get("reduction_factor", 3)
    if not isinstance(eta, int) or scheduler.name != "asha":
        return float(trials * resource.max)
    total, reached = 0.0, 0
    for number, rung in enumerate(rungs(resource.min, resource.max, eta)):
        total += max(1.0, trials / eta**number) * (rung - reached)
        reached = rung
    return total


class NotebookBar:
    """One bar over the trials of a search, as notebooks show it."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._drawn_at = float("-inf")
        self._bar = tqdm(total=progress.spec.trials, unit="trial", desc=progress.spec.name)

    def __call__(self, event: Event) -> None:
        """Moves the bar to the trials that are through."""
        self._progress(event)
        if event["kind"] not in ("decided", "failed", "closed"):
            return
        if event["at"] < self._drawn_at + _DRAW_SECONDS and event["kind"] != "closed":
            return
        self._drawn_at = event["at"]
        standing = self._progress.standing()
        self._bar.total = standing.trials
        running = standing.counts.get("running", 0)
        self._bar.n = standing.suggested - running
        if standing.best is not None:
            self._bar.set_postfix(best=f"{standing.best[0]} {standing.best[1]:.4f}")
        self._bar.refresh()
        if event["kind"] == "closed":
            self._bar.close()
