"""What a report is made of: values only, nothing is read from disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from toprung.data.dataset import Dataset
from toprung.judge.calibrate import Calibration
from toprung.judge.verdicts import Verdicts
from toprung.trial.config import Resource
from toprung.trial.journal import Event
from toprung.trial.report import Metric
from toprung.trial.space import Space, Values


@dataclass(frozen=True)
class MemberSummary:
    """A member of the ensemble.

    Attributes:
        score: its metric alone on the selection split.
        baseline: whether it is no trial.
    """

    trial: str
    weight: float
    backbone: str
    score: float | None = None
    baseline: bool = False


@dataclass(frozen=True)
class Architecture:
    """What a trained model is built of.

    Attributes:
        source: where its backbone's weights come from; None where they start from nothing.
        depth: layers that are kept; None for all.
        max_length: longest text in tokens; None where no texts are read.
        values: its configuration.
        parameters: all, and those that were trained; None where they were not counted.
        licence: of its backbone's weights, as the card says; None where there is none.
    """

    trial: str
    backbone: str
    source: str | None
    depth: int | None
    max_length: int | None
    values: Values
    parameters: tuple[int, int] | None = None
    licence: str | None = None


@dataclass(frozen=True)
class EnsembleSummary:
    """How the ensemble was made.

    Attributes:
        method: its name in the registry.
        value: its metric on the selection split.
        single: the best single candidate's metric there.
        calibration: of its probabilities; None where texts are answered.
    """

    method: str
    members: Sequence[MemberSummary]
    calibration: Calibration | None
    candidates: int
    value: float | None = None
    single: float | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class Material:
    """All that the report tells of; sections whose values are None are left out.

    Attributes:
        name: of the search.
        command: that repeats it exactly.
        spec: the resolved spec's YAML.
        versions: of Python, the libraries and the machine's kind.
        events: of the journal.
        ladders: the rungs of each of the scheduler's brackets; empty without early stopping.
        architectures: of the members.
        member_logits: (N, C) of each member on the test split, where they were kept.
        space: that was searched.
        seed: of the search.
        phase_ladders: the same of each phase as it was begun, from 1; empty without a plan.
        gates: the rules of the plan in words, in their order.
    """

    name: str
    command: str
    spec: str
    versions: Mapping[str, str]
    dataset: Dataset
    events: Sequence[Event]
    metric: Metric
    resource: Resource
    ladders: Mapping[int, Sequence[int]] = field(default_factory=dict)
    phase_ladders: Mapping[int, Mapping[int, Sequence[int]]] = field(default_factory=dict)
    gates: Sequence[str] = ()
    ensemble: EnsembleSummary | None = None
    verdicts: Verdicts | None = None
    architectures: Sequence[Architecture] = ()
    member_logits: Mapping[str, NDArray[np.floating]] = field(default_factory=dict)
    space: Space | None = None
    seed: int = 0
