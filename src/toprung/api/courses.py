"""From a spec, and the event that begins a phase, to what decides the search from there on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from toprung.api.shapes import cost_of
from toprung.core.seeds import derive_seed
from toprung.judge import ensembles
from toprung.search import schedulers, searchers
from toprung.search.course import Course
from toprung.search.plan import Plan
from toprung.spec.choices import Component
from toprung.spec.phases import Phase
from toprung.spec.resource import make_resource
from toprung.spec.spec import SearchSpec
from toprung.trial.config import Resource
from toprung.trial.history import History
from toprung.trial.journal import Event
from toprung.trial.report import Metric
from toprung.trial.space import Choice, Option, Space, Values


def whole_course(spec: SearchSpec) -> Course:
    """The course of a search without phases."""
    seconds = None if spec.minutes is None else spec.minutes * 60
    plan = Plan(spec.metric, spec.resource, spec.trials, seconds, spec.seed)
    finalists = _finalists(spec)
    return _course(spec.scheduler, spec, plan, spec.space, spec.first, finalists=finalists)


def phase_course(spec: SearchSpec, event: Event) -> Course:
    """The course of the phase that an event of the journal begins.

    Phase 1 has the seed of the search; a later one its own, so that its searcher does not draw
    again what the phase before has tried. A phase that is tried again with fewer rows keeps its
    seed, and so its configurations.
    """
    number = int(event["phase"])
    phase = spec.phases[number - 1]
    seed = spec.seed if number == 1 else derive_seed(spec.seed, "phase", number)
    plan = Plan(
        replace(spec.metric, floor=event["floor"]),
        resource_of(phase, event),
        int(event["trials"]),
        event["seconds"],
        spec.seed,
        crashes=_most_crashes(spec, number, event["rows"]),
    )
    first = tuple(dict(values) for values in event["first"])
    finalists = _finalists(spec) if number == len(spec.phases) else 0
    space = space_of(spec.space, phase)
    return _course(phase.scheduler, spec, plan, space, first, seed=seed, finalists=finalists)


def resource_of(phase: Phase, event: Event) -> Resource:
    """The resource of the trials of a phase that was begun."""
    return make_resource(event["unit"], event["min"], event["max"], phase.eta)


def space_of(space: Space, phase: Phase) -> Space:
    """The space of a phase's trials: the search's, with the phase's own longest text."""
    if phase.max_length is None:
        return space
    fixed = Choice((Option(phase.max_length),))
    return Space({**space.parameters, "max_length": fixed})


def fitted(values: Values, phase: Phase, space: Space) -> dict[str, object]:
    """A configuration of another phase as one of this phase's.

    A longest text that only the other phase had becomes the longest of the search's space.
    """
    own = space_of(space, phase).parameters.get("max_length")
    found: dict[str, object] = dict(values)
    known = values.get("max_length")
    found.pop("max_length", None)
    if own is None:
        return found
    longest = max(own.grid(2), key=lambda length: int(length or 0))
    return {**found, "max_length": known if own.contains(known) else longest}


def metric_of(spec: SearchSpec, history: History) -> Metric:
    """The metric that trials are ranked by, with the floor of the phase at work."""
    if not history.phases:
        return spec.metric
    return replace(spec.metric, floor=history.phases[-1].event["floor"])


def _course(
    scheduler: Component,
    spec: SearchSpec,
    plan: Plan,
    space: Space,
    first: tuple[Values, ...],
    *,
    seed: int | None = None,
    finalists: int,
) -> Course:
    rules = schedulers.registry.make(scheduler.name, scheduler.options)
    rules.prepare(plan.resource, plan.metric, finalists=finalists)
    searcher = searchers.registry.make(spec.searcher.name, spec.searcher.options)
    cost = partial(cost_of, cards=spec.cards, kept=spec.cache_gib != 0)
    searcher.prepare(space, spec.seed if seed is None else seed, first, cost=cost)
    return Course(plan, rules, searcher)


def _finalists(spec: SearchSpec) -> int:
    """So many trials are trained to the end after the search; 0 where members train anew."""
    method = ensembles.registry.make(spec.ensemble.name, spec.ensemble.options)
    return method.candidates if method.rows == "train" else 0


def _most_crashes(spec: SearchSpec, number: int, rows: int | None) -> int | None:
    """How many failed trials a gate waits for: a phase that is to be tried again ends there."""
    limits = [
        math.ceil(at_least)
        for gate in spec.gates
        if gate.phase in (None, number)
        and [condition.name for condition in gate.when] == ["crashes"]
        and (gate.then == "debug" or _shrinks(gate.rows, rows, gate.then))
        and (at_least := _bound(gate.when[0].options)) is not None
    ]
    return min(limits, default=None)


def _shrinks(to: int | None, rows: int | None, action: str) -> bool:
    return action == "shrink" and to is not None and (rows is None or to < rows)


def _bound(options: Mapping[str, object]) -> float | None:
    bound = options.get("at_least")
    return float(bound) if isinstance(bound, int | float) and bound > 0 else None
