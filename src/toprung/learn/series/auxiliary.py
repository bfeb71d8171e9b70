"""Auxiliary losses: further targets that the same vector must predict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

_SMALLEST = 1e-6
_MOST_CLASSES = 1 << 20


@dataclass(frozen=True)
class Target:
    """One auxiliary target.

    Attributes:
        name: of its array.
        classes: how many; 0 is a number.
        mean, deviation: of a number over the training windows.
    """

    name: str
    classes: int
    mean: float = 0.0
    deviation: float = 1.0

    def __post_init__(self) -> None:
        if type(self.classes) is not int or not 0 <= self.classes <= _MOST_CLASSES:
            raise ValueError(f"{str(self.classes)[:60]} is no number of classes")

    @property
    def outputs(self) -> int:
        """Scores that predict it."""
        return self.classes or 1

    def to_json(self) -> dict[str, Any]:
        """The target as JSON values."""
        return asdict(self)


def measure_targets(arrays: Mapping[str, NDArray[Any]]) -> tuple[Target, ...]:
    """The targets of training windows.

    >>> measure_targets({"aux_peak": np.array([1.0, 3.0], np.float32)})
    (Target(name='aux_peak', classes=0, mean=2.0, deviation=1.0),)
    >>> measure_targets({"aux_kind": np.array([0, 2])})[0].outputs
    3
    """
    found = []
    for name, array in arrays.items():
        if array.dtype.kind == "i":
            found.append(Target(name, int(array.max()) + 1))
        else:
            mean, deviation = array.mean(dtype=np.float64), array.std(dtype=np.float64)
            found.append(Target(name, 0, float(mean), max(_SMALLEST, float(deviation))))
    return tuple(found)


class Auxiliary:
    """The auxiliary losses of N training rows, and how large they were.

    Classes are learned by cross-entropy, numbers by the smooth L1 loss (Girshick 2015,
    arXiv:1504.08083) of their standardised value. The mean over the targets counts.

    Args:
        targets: what is predicted, in the order of the scores.
        arrays: (N,) each.
        weight: of their mean beside the loss itself.
        device: of the model.
    """

    def __init__(
        self,
        targets: Sequence[Target],
        arrays: Mapping[str, NDArray[Any]],
        weight: float,
        device: torch.device,
    ) -> None:
        self.targets = tuple(targets)
        self.weight = weight
        self.outputs = sum(target.outputs for target in targets)
        self._truth = [
            torch.from_numpy(_prepared(target, arrays[target.name])).to(device)
            for target in targets
        ]
        self._sums: list[torch.Tensor] = []
        self._sum, self._rows = 0.0, 0

    def __call__(self, scores: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """(B,) weighted losses of rows, from their (B, outputs) scores."""
        total = scores.new_zeros(len(scores))
        parts = torch.split(scores, [target.outputs for target in self.targets], dim=1)
        for target, part, truth in zip(self.targets, parts, self._truth, strict=True):
            own = truth[rows]
            if target.classes:
                total = total + functional.cross_entropy(part, own, reduction="none")
            else:
                total = total + functional.smooth_l1_loss(part[:, 0], own, reduction="none")
        losses: torch.Tensor = total * (self.weight / len(self.targets))
        self._sums.append(losses.detach().sum())
        self._rows += len(scores)
        return losses

    def take_mean(self) -> float:
        """The mean weighted loss of the rows since this was last asked."""
        self._gather()
        mean = self._sum / max(1, self._rows)
        self._sum, self._rows = 0.0, 0
        return mean

    def state(self) -> dict[str, Any]:
        """What must be kept to go on later; floats are exact."""
        self._gather()
        return {"auxiliary": {"sum": self._sum, "rows": self._rows}}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes on from a kept state."""
        kept = state["auxiliary"]
        self._sum, self._rows, self._sums = float(kept["sum"]), int(kept["rows"]), []

    def _gather(self) -> None:
        # One by one, so that the sum does not depend on when it was asked for.
        for value in self._sums:
            self._sum += float(value)
        self._sums = []


def _prepared(target: Target, array: NDArray[Any]) -> NDArray[Any]:
    if target.classes:
        return np.asarray(array, dtype=np.int64)
    return np.asarray((array - target.mean) / target.deviation, dtype=np.float32)
