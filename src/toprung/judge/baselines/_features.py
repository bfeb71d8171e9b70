"""Windows as flat features: what a person would write down of each channel."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from toprung.data.series import Array, Content
from toprung.judge.baselines._base import SMALLEST, Baseline, as_series

_LAST = 4


@dataclass
class OnFeatures(Baseline):
    """A scikit-learn classifier on flat features of windows."""

    reads: ClassVar[tuple[str, ...]] = ("series",)

    _classes: int = field(default=0, init=False, repr=False)
    _known: NDArray[np.integer] = field(
        default_factory=lambda: np.zeros(0, np.int64), init=False, repr=False
    )
    _model: Any = field(default=None, init=False, repr=False)

    @abstractmethod
    def make(self, seed: int) -> Any:
        """The classifier, not fitted."""

    def fit(self, rows: Content, labels: NDArray[np.integer], classes: int, seed: int) -> None:
        self._classes, self._known = classes, np.unique(labels)
        self._model = self.make(seed)
        if len(self._known) > 1:
            self._model.fit(flat_features(rows), labels)

    def logits(self, rows: Content) -> NDArray[np.float64]:
        found = np.full((len(rows), self._classes), SMALLEST)
        if len(self._known) > 1:
            shares = self._model.predict_proba(flat_features(rows))
            found[:, self._known] = np.maximum(shares, SMALLEST)
        else:
            found[:, self._known] = 1.0
        return np.asarray(np.log(found))


def flat_features(rows: Content) -> NDArray[np.float64]:
    """(N, F): 14 numbers of each channel, and of each modality's length (Euclidean norm).

    Mean, deviation, extremes, quartiles, mean and largest step, slope; of the last quarter mean,
    deviation and extremes; and the last value.

    Raises:
        TypeError: texts instead of windows.
    """
    found = []
    for array in as_series(rows).arrays.values():
        norm = np.sqrt(np.square(array.astype(np.float64)).sum(axis=2, keepdims=True))
        found.append(_of_channels(np.concatenate([array, norm], axis=2)))
    return np.concatenate(found, axis=1)


def _of_channels(array: Array | NDArray[np.float64]) -> NDArray[np.float64]:
    values = np.asarray(array, np.float64)
    steps = values.shape[1]
    last = values[:, -max(1, steps // _LAST) :]
    change = np.abs(np.diff(values, axis=1)) if steps > 1 else np.zeros_like(values)
    time = np.linspace(-1.0, 1.0, steps)
    quartiles = np.quantile(values, [0.25, 0.5, 0.75], axis=1)
    parts = [
        values.mean(axis=1),
        values.std(axis=1),
        values.min(axis=1),
        values.max(axis=1),
        *quartiles,
        change.mean(axis=1),
        change.max(axis=1),
        np.einsum("ntc,t->nc", values, time) / max(1e-12, float(time @ time)),
        last.mean(axis=1),
        last.std(axis=1),
        last.max(axis=1) - last.min(axis=1),
        values[:, -1],
    ]
    return np.concatenate(parts, axis=1)
