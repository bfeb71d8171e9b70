"""What a report is made of: values only, nothing is read from disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from toprung.data.dataset import Dataset
from toprung.judge.calibrate import Calibration
from toprung.judge.verdicts import Verdicts
from toprung.trial.config import Resource
from toprung.trial.journal import Event
from toprung.trial.report import Metric


@dataclass(frozen=True)
class MemberSummary:
    """A member of the ensemble; ``score`` is its metric alone on the selection split."""

    trial: str
    weight: float
    backbone: str
    score: float | None = None


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
    ensemble: EnsembleSummary | None = None
    verdicts: Verdicts | None = None
