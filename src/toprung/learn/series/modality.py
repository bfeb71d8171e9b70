"""How each modality looked in training: its shape, and the scale of its channels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from toprung.data.series import Array, Series, Shape
from toprung.learn.series.settings import Derived

_SMALLEST = 1e-6
_MOST_STEPS = 1 << 20


@dataclass(frozen=True)
class Modality:
    """One input of a model.

    Attributes:
        name: of its array.
        steps: T of a window.
        channels: C of a window.
        derived: channels that stand behind those.
        mean, deviation: of each given and derived channel over the training windows.
    """

    name: str
    steps: int
    channels: int
    derived: Derived
    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    @property
    def shape(self) -> Shape:
        """Steps and channels, as they are given."""
        return self.steps, self.channels

    @property
    def read(self) -> Shape:
        """Steps and channels, the derived ones with them."""
        return self.steps, len(self.mean)

    def to_json(self) -> dict[str, Any]:
        """The modality as JSON values; floats are exact."""
        return {**asdict(self), "mean": list(self.mean), "deviation": list(self.deviation)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Modality:
        """The modality that ``to_json`` wrote.

        Raises:
            ValueError: it did not: a size, a kind or a scale that no training gives.
        """
        mean, deviation = tuple(value["mean"]), tuple(value["deviation"])
        found = cls(**{**value, "mean": mean, "deviation": deviation})
        sizes = (found.steps, found.channels)
        numbers = all(type(n) in (int, float) and math.isfinite(n) for n in (*mean, *deviation))
        if not all(type(size) is int and 0 < size <= _MOST_STEPS for size in sizes) or not numbers:
            raise ValueError(f"the modality {str(found.name)[:60]!r} has no sound size or scale")
        width = derive(np.zeros((1, 1, found.channels), np.float32), found.derived).shape[2]
        if not isinstance(found.name, str) or not len(mean) == len(deviation) == width:
            raise ValueError(f"the modality {str(found.name)[:60]!r} is not scaled by channel")
        return found


def measure_modalities(series: Series, derived: Derived = "none") -> tuple[Modality, ...]:
    """The modalities of training windows; a channel that never changes keeps its scale.

    >>> (acc,) = measure_modalities(Series({"acc": np.array([[[1.0], [3.0]]], np.float32)}))
    >>> acc.mean, acc.deviation
    ((2.0,), (1.0,))
    """
    found = []
    for name, given in series.arrays.items():
        array = derive(given, derived)
        mean = array.mean(axis=(0, 1), dtype=np.float64)
        deviation = array.std(axis=(0, 1), dtype=np.float64)
        deviation[deviation < _SMALLEST] = 1.0
        scale = tuple(mean.tolist()), tuple(deviation.tolist())
        found.append(Modality(name, given.shape[1], given.shape[2], derived, *scale))
    return tuple(found)


def derive(array: Array, derived: Derived) -> Array:
    """Windows with derived channels behind their own, (N, T, C) → (N, T, C').

    >>> derive(np.array([[[3.0, 4.0], [3.0, 5.0]]], np.float32), "norm")[0, 0].tolist()
    [3.0, 4.0, 5.0]
    """
    parts = [array]
    if derived != "none":
        parts.append(np.sqrt(np.square(array).sum(axis=2, keepdims=True)))
    if derived == "norm_and_change":
        parts.append(np.diff(array, axis=1, prepend=array[:, :1]))
    return np.concatenate(parts, axis=2)


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
        scaled = np.zeros((len(series), *modality.read), dtype=np.float32)
        rows = present[:, column]
        if rows.any():
            mean = np.asarray(modality.mean, np.float32)
            deviation = np.asarray(modality.deviation, np.float32)
            array = derive(series.arrays[modality.name][rows], modality.derived)
            scaled[rows] = (array - mean) / deviation
        values.append(torch.from_numpy(scaled))
    return values, torch.from_numpy(present)
