"""Windows as flat features: what a person would write down of each channel."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from toprung.data.series import Content
from toprung.judge.baselines._base import Baseline, as_series
from toprung.judge.baselines._plain import Windows, as_bytes, flat_features


@dataclass
class OnFeatures(Baseline):
    """A classifier on flat features of windows."""

    reads: ClassVar[tuple[str, ...]] = ("series",)
    joins: ClassVar[bool] = True

    learned: dict[str, NDArray[Any]] = field(default_factory=dict, init=False, repr=False)

    @abstractmethod
    def learn(
        self, features: NDArray[np.float64], labels: NDArray[np.integer], seed: int
    ) -> dict[str, NDArray[Any]]:
        """What ``Windows`` takes of the model, from (N, F) features and two classes or more."""

    def fit(self, rows: Content, labels: NDArray[np.integer], classes: int, seed: int) -> None:
        series, known = as_series(rows), np.unique(labels)
        self.learned = {
            "modalities": as_bytes(list(series.arrays)),
            "shapes": np.array(list(series.shapes.values())),
            "classes": known,
            "outputs": np.array(classes),
        }
        if len(known) > 1:
            self.learned |= self.learn(flat_features(series.arrays), labels, seed)

    def logits(self, rows: Content) -> NDArray[np.float64]:
        return Windows(self.learned).logits(as_series(rows).arrays)
