"""One search on a recorded surface: production scheduler, searcher, driver, virtual clock."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from space import POINTS
from surface import METRIC, Nearest, Surface, cost_of_surfaces, space_of_surfaces

from toprung.core.errors import TrialDiverged
from toprung.core.seeds import derive_seed
from toprung.data.tasks.single_label import SingleLabel
from toprung.judge.ensembles._base import Ensemble
from toprung.judge.finalists import choose_finalists
from toprung.judge.leaderboard import rank_trials
from toprung.search.driver import Driver
from toprung.search.plan import Plan
from toprung.search.runners.virtual import Virtual
from toprung.search.schedulers._base import Scheduler
from toprung.search.searchers._base import Observation, Searcher
from toprung.search.searchers.grid import Grid
from toprung.trial.config import Assignment, Resource
from toprung.trial.decision import Continue, Decision, Pause, Promotion, Stop
from toprung.trial.journal import Event, Journal
from toprung.trial.report import Metric, Report
from toprung.trial.space import Scalar, Space, Values

FINALISTS = Ensemble.candidates
SPACE = space_of_surfaces()
Curve = list[tuple[float, float]]
"""Moments, and the best score of a fully trained configuration by then; both ascending."""


@dataclass(frozen=True)
class Played:
    """A search that was played.

    Attributes:
        curve: the best score of a fully trained configuration over time.
        end: when the last finalist was trained.
    """

    curve: Curve
    end: float


@dataclass(frozen=True)
class Method:
    """A way to search.

    Attributes:
        name: in the table.
        scheduler, searcher: makers of fresh ones.
        first: rows of the configurations to begin with, best guess first.
        minimum: resource of the lowest rung.
    """

    name: str
    scheduler: Callable[[], Scheduler]
    searcher: Callable[[], Searcher]
    first: Sequence[int] = ()
    minimum: int = POINTS[0]


class Recorded(Searcher):
    """Asks a production searcher, and answers with the nearest recorded configuration left.

    The production searcher is shown the values that were really trained, not those it asked for.
    """

    def __init__(self, inner: Searcher, surface: Surface) -> None:
        self.inner, self.surface = inner, surface
        self.rows: dict[int, int] = {}

    def begin(self, space: Space, seed: int, first: Sequence[int]) -> None:
        """Prepares both searchers; the first configurations are given by their rows."""
        self._first_rows = first
        self._nearest = Nearest(SPACE, self.surface.values)
        known = [self.surface.values[row] for row in first]
        self.prepare(space, seed, known)
        self.inner.prepare(space, seed, known, cost=cost_of_surfaces())
        for row in first:
            self._nearest.claim(row)

    def suggest(self, number: int) -> dict[str, Scalar] | None:
        if number <= len(self._first_rows):
            self.rows[number] = self._first_rows[number - 1]
            return dict(self.surface.values[self.rows[number]])
        return self.propose(number)

    def propose(self, number: int) -> dict[str, Scalar] | None:
        asked: Values | None = self.inner.suggest(number)
        row = None if asked is None else self._nearest.take(asked)
        if row is None:
            return None
        self.rows[number] = row
        return dict(self.surface.values[row])

    def observe(self, observation: Observation) -> None:
        self.inner.observe(observation)


class BestOfFirstRung(Scheduler):
    """Everyone to the first rung; when all are there, the best k go to the end at once."""

    def __init__(self, trials: int, best: int) -> None:
        self.trials, self.best = trials, best
        self.scores: dict[str, float] = {}
        self.chosen: list[str] | None = None

    def add(self, trial: str) -> int:
        return 0

    def decide(self, trial: str, resource: int, score: float) -> Decision:
        if resource >= self.resource.max:
            return Stop("at the end", completed=True)
        if resource > self.resource.min:
            return Continue("chosen")
        self.scores[trial] = score
        return Pause("waits for the others")

    def promote(self) -> Promotion | None:
        if len(self.scores) >= self.trials:
            return self._next()
        return None

    def finale(self) -> Promotion | None:
        return self._next() if self.scores else None

    def _next(self) -> Promotion | None:
        if self.chosen is None:
            ranked = sorted(self.scores, key=lambda trial: -self.scores[trial])
            self.chosen = ranked[: self.best]
        if not self.chosen:
            return None
        return Promotion(self.chosen.pop(0), self.resource.min, "among the best")

    def drop(self, trial: str) -> None:
        """Nothing: recorded configurations that diverge do so at any rung."""

    def verdict(self, trial: str) -> str:
        return "not among the best"


def play(
    surface: Surface, method: Method, *, workers: int, trials: int, seed: int, seconds: float
) -> Played:
    """Plays a search; times are CPU-seconds of a worker.

    After the search phase its finalists are trained to the end, as for an ensemble.
    """
    table = surface.copies(trials, derive_seed(seed, "copies"))
    resource = Resource("examples", method.minimum, POINTS[-1], POINTS)
    scheduler, searcher = method.scheduler(), Recorded(method.searcher(), table)
    scheduler.prepare(resource, Metric(METRIC), finalists=FINALISTS)
    searcher.begin(_space_for(searcher.inner, seed), seed, method.first)
    runner, curve = Virtual(workers=workers), [(0.0, 0.0)]

    def watch(event: Event) -> None:
        if event["kind"] == "reported" and event["resource"] == POINTS[-1]:
            worth = float(table.truth[searcher.rows[int(event["trial"][1:])]])
            if worth > curve[-1][1]:
                curve.append((event["at"], worth))

    plan = Plan(Metric(METRIC), resource, trials, seconds, seed)
    with (
        tempfile.TemporaryDirectory(dir=_fast_folder()) as folder,
        Journal(Path(folder), runner.clock, durable=False) as journal,
    ):
        driver = Driver(plan, scheduler, searcher, journal, watchers=[watch])
        runner.run(driver, _trainer(table, searcher))
        driver.finish()
        board = rank_trials(driver.history, plan.metric)
        finalists = choose_finalists(board, {}, FINALISTS, task=SingleLabel())
        driver.train_fully([finalist.trial for finalist in finalists])
        runner.run(driver, _trainer(table, searcher))
        return Played(curve, driver.elapsed())


def _trainer(table: Surface, searcher: Recorded) -> Callable[[Assignment], Iterator[Report]]:
    def train(assignment: Assignment) -> Iterator[Report]:
        trial = assignment.config.trial
        row = searcher.rows[int(trial[1:])]
        for at, point in enumerate(POINTS):
            if point > assignment.start:
                if np.isnan(table.scores[row, at]):
                    raise TrialDiverged(f"diverged before {point}")
                seconds = round(float(table.costs[row, at]), 3)
                yield Report(trial, point, {METRIC: float(table.scores[row, at])}, seconds, "c")

    return train


def _space_for(searcher: Searcher, seed: int) -> Space:
    """The space; for a grid with its parameters in another order for each seed.

    A grid follows the order in which the parameters happen to be written down.
    """
    if not isinstance(searcher, Grid):
        return SPACE
    items = list(SPACE.parameters.items())
    random.Random(derive_seed(seed, "grid")).shuffle(items)
    return Space(dict(items))


def _fast_folder() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None
