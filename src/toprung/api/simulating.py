"""A whole search on the virtual clock: real prices of trials, made-up scores."""

from __future__ import annotations

import random
import tempfile
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from toprung.api import Search
from toprung.api.courses import whole_course
from toprung.api.opening import Settings
from toprung.search.runners._base import Train
from toprung.search.runners.virtual import quality_of, synthetic_curve
from toprung.spec.spec import SearchSpec
from toprung.trial.config import Assignment, Resource, TrialConfig
from toprung.trial.history import History
from toprung.trial.journal import Event, read_events
from toprung.trial.report import Metric, Report
from toprung.trial.space import Values

SIMULATIONS = 9
USUAL = SIMULATIONS // 2
"""The simulation in which scores go with costs about as much as they do on real data.

On the recorded surfaces (banking77 and sst2, 154 configurations each) the rank correlation of the
two is 0.13 to 0.16 at the lowest rung and 0.31 to 0.59 at the highest; here it is 0.3.
"""
TELLING = (USUAL, SIMULATIONS - 1, 0)
"""Those that say most: the usual one, and what costs and chance do to it."""
_SAMPLES = 200

Cost = Callable[[TrialConfig, Resource, int | None, int], Iterable[tuple[int, float]]]
"""From a configuration, resource, rows of train and start to what ``Prices.legs`` gives."""


@dataclass(frozen=True)
class Simulated:
    """A search that was simulated: its history, when each phase and when all of it ended."""

    history: History
    closings: Sequence[float]
    end: float
    events: Sequence[Event]


def simulate(spec: SearchSpec, slots: int, cost: Cost, number: int) -> Simulated:
    """A whole search on the virtual clock, with so many trials at a time.

    Args:
        spec: of the search.
        slots: trials at a time.
        cost: seconds of a trial from point to point.
        number: of the simulation, below ``SIMULATIONS``; each has other scores and suggestions,
            and in each the dear configurations are the better ones more often than before.
    """
    spent: dict[str, float] = {}
    worth = _worth(spec, number)

    def simulation(resource: Resource, metric: Metric, rows: int | None) -> Train:
        curve = synthetic_curve(metric, resource, worth)

        def train(assignment: Assignment) -> Iterator[Report]:
            config = assignment.config
            trial = config.trial
            for point, seconds in cost(config, resource, rows, assignment.start):
                spent[trial] = spent.get(trial, 0.0) + seconds
                value = {metric.name: curve(config, point)[0]}
                yield Report(trial, point, value, round(spent[trial], 3), f"at{point}")

        return train

    with tempfile.TemporaryDirectory(prefix="toprung-estimate-") as results:
        settings = Settings("virtual", results=results, simulation=simulation, workers=slots)
        other = replace(spec, seed=(spec.seed + number) % (1 << 32))
        events = read_events(Search(other, settings=settings).fit().folder.journal)
    closings = [float(event["at"]) for event in events if event["kind"] == "closed"]
    return Simulated(History.of(events), closings, float(events[-1]["at"]), events)


def _worth(spec: SearchSpec, number: int) -> Callable[[Values], float]:
    """The made-up quality of a configuration, 0 to 1: from its values' alone to its cost's rank."""
    cost = whole_course(spec).searcher.cost
    assert cost is not None
    follows = (number / (SIMULATIONS - 1)) ** 2
    chance = random.Random(0)
    drawn = [spec.space.sample(chance) for _ in range(_SAMPLES)]
    costs = sorted(map(cost, drawn))
    qualities = sorted(quality_of(values, number) for values in drawn)

    def worth(values: Values) -> float:
        own = _rank(quality_of(values, number), qualities)
        return (1 - follows) * own + follows * _rank(cost(values), costs)

    return worth


def _rank(value: float, ascending: Sequence[float]) -> float:
    """The share of others that are lower; half of those that are equal count."""
    lower, upper = bisect_left(ascending, value), bisect_right(ascending, value)
    return (lower + upper) / 2 / len(ascending)


def even(
    config: TrialConfig, resource: Resource, rows: int | None, start: int
) -> Iterator[tuple[int, float]]:
    """A cost that is the same for all."""
    for below, point in pairwise((0, *resource.points)):
        if point > start:
            yield point, 0.01 * (point - below)
