"""Rows of windows to scores."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from toprung.data.series import Series
from toprung.learn.batches import Rows
from toprung.learn.device import place
from toprung.learn.inputs import RowInputs
from toprung.learn.series.modality import Modality, standardise
from toprung.learn.series.model import WindowClassifier


class SeriesInputs(RowInputs):
    """Windows on the model's device, standardised.

    Args:
        series: N windows.
        modalities: that the model knows.
        tokens: of a window, all modalities together.
        device: of the model.
    """

    def __init__(
        self, series: Series, modalities: Sequence[Modality], tokens: int, device: torch.device
    ) -> None:
        values, present = standardise(series, modalities)
        self.device = device
        self._values = [value.to(device) for value in values]
        self._present = present.to(device)
        self._lengths = np.full(len(series), tokens, dtype=np.int64)

    @property
    def lengths(self) -> Rows:
        return self._lengths

    def scores(self, model: WindowClassifier, rows: Rows, epoch: int = 0) -> torch.Tensor:
        chosen = place(torch.from_numpy(rows), self.device)
        found: torch.Tensor = model([v[chosen] for v in self._values], self._present[chosen])
        return found
