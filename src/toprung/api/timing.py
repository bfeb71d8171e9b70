"""The real steps behind a forecast: trials beside each other, and baselines."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import fields, replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from toprung.api.training import device_of
from toprung.core.clock import SystemClock
from toprung.data.dataset import Dataset
from toprung.judge import baselines
from toprung.judge.yardstick import measure_baseline
from toprung.learn.device import Measured
from toprung.learn.paces import Pace, measure_paces
from toprung.learn.plan import Plan
from toprung.spec.spec import SearchSpec
from toprung.trial.config import Resource, TrialConfig

_SAMPLE_ROWS, _HELD_OUT = 1024, 512
_BASELINE_ROWS = (4096, 8192)


def measure_beside(
    plan: Plan, configs: Sequence[TrialConfig], slots: int
) -> tuple[list[Pace], float]:
    """Paces, timed in as many processes at once as trials will train; and what starting took."""
    if slots == 1:
        return measure_paces(plan, configs), 0.0
    clock = SystemClock()
    with ProcessPoolExecutor(slots, mp_context=get_context("spawn")) as pool:
        began = clock.seconds()
        # One task each, that imports all that a worker needs.
        for ready in [pool.submit(measure_paces, plan, []) for _ in range(slots)]:
            ready.result()
        started = clock.seconds() - began
        waiting = [pool.submit(measure_paces, plan, list(configs)) for _ in range(slots)]
        beside = [one.result() for one in waiting]
    return [_mean(same) for same in zip(*beside, strict=True)], started


def _mean(paces: Sequence[Pace]) -> Pace:
    """The mean times of those that ran beside each other, the largest memory and spread."""
    names = [field.name for field in fields(Pace) if field.name.endswith("_seconds")]
    means = {name: sum(getattr(p, name) for p in paces) / len(paces) for name in names}
    memory, spread = max(p.memory_bytes for p in paces), max(p.spread for p in paces)
    return replace(paces[0], **means, memory_bytes=memory, spread=spread)


def sample_plan(spec: SearchSpec, data: Dataset, speed: Measured) -> Plan:
    """What trials are timed with: a sample of the rows, everything else as in the search."""
    sample = data.first_train_rows(min(_SAMPLE_ROWS, len(data.splits["train"])), spec.seed)
    kept = {"train": sample.splits["train"]}
    for name in data.task.splits:
        split = data.splits[name]
        kept[name] = split.take(np.arange(min(_HELD_OUT, len(split))), name)
    return Plan(
        task=spec.task,
        dataset=replace(sample, splits=kept),
        metric=spec.metric,
        resource=Resource("examples", 1, 10**9, (10**9,)),
        folder=Path(),
        cache=Path(),
        cpus=spec.cpus,
        precision=speed.precision if spec.precision == "auto" else spec.precision,
        device=device_of(spec),
        gpus=spec.gpus or 0.0,
        cards=spec.cards,
        prefix_bytes=0 if spec.cache_gib == 0 else None,
    )


def baseline_seconds(spec: SearchSpec, data: Dataset) -> list[float]:
    """Seconds of all baselines before each phase, grown from two parts of train in proportion."""
    train = len(data.splits["train"])
    wanted = [phase.rows or train for phase in spec.phases] or [train]
    # Above the rows that TF-IDF tunes on, whose cost is the same however many there are.
    small, large = (min(train, rows) for rows in _BASELINE_ROWS)
    first = _learn_baselines(spec, data, small)
    if small == large:
        return [first for _ in wanted]
    a_row = max(0.0, _learn_baselines(spec, data, large) - first) / (large - small)
    return [max(0.0, first + a_row * (rows - small)) for rows in wanted]


def _learn_baselines(spec: SearchSpec, data: Dataset, rows: int) -> float:
    part = data.first_train_rows(rows, spec.seed)
    return sum(
        measure_baseline(
            one.name,
            baselines.registry.make(one.name, one.options),
            part,
            clock=SystemClock(),
            seed=spec.seed,
        ).seconds
        for one in spec.baselines
    )
