"""Rows to scores: from token ids, or from the frozen layers' cached output."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from toprung.learn.batches import Rows, collate
from toprung.learn.model import Classifier
from toprung.learn.prefix import Prefix
from toprung.learn.tokens import Tokens


@dataclass
class Inputs:
    """The texts of a split as a model takes them; both ways give the same scores.

    Attributes:
        tokens: of N rows.
        padding: token id.
        device: of the model.
        prefix: of the same rows; None where there is none, or where it does not pay.
    """

    tokens: Tokens
    padding: int
    device: torch.device
    prefix: Prefix | None = None

    def scores(self, model: Classifier, rows: Rows) -> torch.Tensor:
        """Scores of rows, (B, outputs) float32, on the model's device."""
        cached = self.states(model, rows)
        if cached is None:
            scores: torch.Tensor = model(*collate(self.tokens, rows, self.padding, self.device))
            return scores
        return model.from_states(*cached)

    def states(self, model: Classifier, rows: Rows) -> tuple[torch.Tensor, torch.Tensor] | None:
        """The frozen layers' cached vectors, (B, T, H), and mask; None where they are not kept."""
        states = self._cached(model, rows)
        if states is None:
            return None
        lengths = self.tokens.lengths[rows]
        mask = (np.arange(states.shape[1]) < lengths[:, None]).astype(np.int64)
        return states, torch.from_numpy(mask).to(self.device)

    def _cached(self, model: Classifier, rows: Rows) -> torch.Tensor | None:
        if self.prefix is None:
            return None
        try:
            states = self.prefix.take(rows, model.lower, self.device)
        except OSError:  # a full disk costs time, not the trial
            self.prefix = None
            return None
        if not self.prefix.pays:
            self.prefix = None
        return states
