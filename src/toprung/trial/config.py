"""One configuration to try, and the order to train it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from toprung.trial.space import Scalar

TRIAL_ID = re.compile(r"t[0-9]{4,6}(-s[0-9]{1,3})?\Z")

RECOMPUTES_FROM = 4
"""``shrink`` from which a trial computes activations again in the backward pass."""


def trial_id(number: int) -> str:
    """The id of the n-th trial, from 1.

    >>> trial_id(7)
    't0007'
    """
    return f"t{number:04d}"


@dataclass(frozen=True)
class TrialConfig:
    """The values that one trial is trained with.

    Attributes:
        trial: id; also the name of its folder and of its TensorBoard run.
        values: flat configuration, see ``Space``.
        seed: of everything random in the trial: initial weights, order of rows, dropout.
    """

    trial: str
    values: Mapping[str, Scalar]
    seed: int

    def __post_init__(self) -> None:
        if not isinstance(self.trial, str) or not TRIAL_ID.match(self.trial):
            raise ValueError(f"not a trial id: {self.trial!r}")

    def component(self, name: str) -> tuple[str, dict[str, Scalar]]:
        """The option chosen for a parameter and that option's own values.

        >>> config = TrialConfig("t0001", {"adapter": "lora", "adapter.lora.rank": 8}, 0)
        >>> config.component("adapter")
        ('lora', {'rank': 8})
        """
        chosen = str(self.values[name])
        prefix = f"{name}.{chosen}."
        nested = {key[len(prefix) :]: v for key, v in self.values.items() if key.startswith(prefix)}
        return chosen, nested

    def sha256(self) -> str:
        """A hash of values and seed, not of the id: equal for equal trainings."""
        text = json.dumps([dict(self.values), self.seed], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Assignment:
    """The order to train a trial from where it stands.

    Attributes:
        config: what to train.
        start: resource of the checkpoint to go on from; 0 starts anew.
        attempt: 1, and one more after each failure.
        shrink: micro-batches are divided by this, and accumulated; doubles after out of memory.
        epoch: of the journal's opening that gave the order; the higher one is the later one.
    """

    config: TrialConfig
    start: int = 0
    attempt: int = 1
    shrink: int = 1
    epoch: int = 0

    @property
    def recomputes(self) -> bool:
        """Whether activations are computed again in the backward pass: two halvings too few."""
        return self.shrink >= RECOMPUTES_FROM


@dataclass(frozen=True)
class Resource:
    """What a trial is given, rung by rung.

    Attributes:
        unit: ``examples`` or ``epochs``.
        min: resource of the lowest rung.
        max: resource of the last rung; learning-rate schedules end here.
        points: where a trial reports, ascending; every rung is among them, and ``max`` is last.
        rungs: where trials are compared, ascending; none where every point counts as one.
    """

    unit: str
    min: int
    max: int
    points: tuple[int, ...] = field(default=())
    rungs: tuple[int, ...] = field(default=())

    def is_rung(self, point: int) -> bool:
        """Whether trials may be compared, and pause, at a point.

        >>> Resource("epochs", 1, 4, (1, 2, 3, 4), (1, 4)).is_rung(2)
        False
        """
        return not self.rungs or point in self.rungs or point == self.max

    def since_rung(self, point: int) -> int:
        """How much was trained since the rung below a point.

        >>> Resource("epochs", 1, 9, (1, 3, 6, 9), (1, 3, 9)).since_rung(9)
        6
        """
        below = [rung for rung in self.rungs or self.points if rung < point]
        return point - max(below, default=0)

    def next_point(self, reached: int) -> int:
        """The next resource at which a trial that has ``reached`` reports."""
        return next(point for point in self.points if point > reached)
