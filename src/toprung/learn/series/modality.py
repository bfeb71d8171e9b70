"""How each modality looked in training: its shape, and the scale of its channels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from toprung.data.series import Series, Shape

_SMALLEST = 1e-6


@dataclass(frozen=True)
class Modality:
    """One input of a model.

    Attributes:
        name: of its array.
        steps: T of a window.
        mean, deviation: of each of the C channels over the training windows.
    """

    name: str
    steps: int
    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    @property
    def shape(self) -> Shape:
        """Steps and channels."""
        return self.steps, len(self.mean)

    def to_json(self) -> dict[str, Any]:
        """The modality as JSON values; floats are exact."""
        return {**asdict(self), "mean": list(self.mean), "deviation": list(self.deviation)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Modality:
        """The modality that ``to_json`` wrote."""
        mean, deviation = tuple(value["mean"]), tuple(value["deviation"])
        return cls(str(value["name"]), int(value["steps"]), mean, deviation)


def measure_modalities(series: Series) -> tuple[Modality, ...]:
    """The modalities of training windows; a channel that never changes keeps its scale.

    >>> measure_modalities(Series({"acc": np.array([[[1.0], [3.0]]], np.float32)}))
    (Modality(name='acc', steps=2, mean=(2.0,), deviation=(1.0,)),)
    """
    found = []
    for name, array in series.arrays.items():
        mean = array.mean(axis=(0, 1), dtype=np.float64)
        deviation = array.std(axis=(0, 1), dtype=np.float64)
        deviation[deviation < _SMALLEST] = 1.0
        found.append(
            Modality(name, array.shape[1], tuple(mean.tolist()), tuple(deviation.tolist()))
        )
    return tuple(found)


def standardise(
    series: Series, modalities: Sequence[Modality]
) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Windows as a model reads them: (N, T, C) float32 of each modality, and (N, M) bool.

    A missing modality is zeros, the mean, and marked as not there.

    Args:
        series: of any modalities; those that the model does not know are not read.
        modalities: that the model knows.
    """
    values: list[torch.Tensor] = []
    present = np.stack([series.present(m.name) for m in modalities], axis=1)
    for column, modality in enumerate(modalities):
        scaled = np.zeros((len(series), *modality.shape), dtype=np.float32)
        rows = present[:, column]
        if rows.any():
            mean = np.asarray(modality.mean, np.float32)
            deviation = np.asarray(modality.deviation, np.float32)
            scaled[rows] = (series.arrays[modality.name][rows] - mean) / deviation
        values.append(torch.from_numpy(scaled))
    return values, torch.from_numpy(present)
