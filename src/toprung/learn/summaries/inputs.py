"""Rows of sources and targets: sums of log-probabilities in training, states for writing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from toprung.learn.batches import Rows, collate
from toprung.learn.device import place
from toprung.learn.inputs import Inputs, RowInputs
from toprung.learn.prefix import Prefix
from toprung.learn.summaries.model import Writer
from toprung.learn.summaries.vocabulary import Vocabulary
from toprung.learn.tokens import Tokens


@dataclass
class SummaryInputs(RowInputs):
    """N sources, with their targets where they are known.

    Attributes:
        source: tokens of the texts, and what frozen layers make of them.
        vocabulary: of the targets.
        targets: tokens of the first reference of each; None where nobody knows it.
        unit: tokens of the mean training target, which sums are divided by.
    """

    source: Inputs
    vocabulary: Vocabulary
    targets: Tokens | None = None
    unit: float = 1.0

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return self.source.device

    @property
    def prefix(self) -> Prefix | None:  # type: ignore[override]
        return self.source.prefix

    @property
    def lengths(self) -> Rows:
        lengths = self.source.tokens.lengths
        return lengths if self.targets is None else lengths + self.targets.lengths

    def states(self, model: Writer, rows: Rows) -> tuple[torch.Tensor, torch.Tensor]:
        """What the decoder reads of rows, (B, S, H), and its mask, (B, S)."""
        kept = self.source.states(model, rows)  # type: ignore[arg-type]
        if kept is not None:
            return model.upper(*kept), kept[1]
        ids, mask = collate(self.source.tokens, rows, self.source.padding, self.device)
        return model.states(ids, mask), mask

    def scores(self, model: Writer, rows: Rows, epoch: int = 0) -> torch.Tensor:
        """(B, 2) sums over the target's tokens; see ``TokenCrossEntropy``."""
        assert self.targets is not None
        read, written = self.vocabulary.targets(self.targets, rows)
        both = place(torch.from_numpy(np.stack([read, written])), self.device)
        return model.sums(*self.states(model, rows), both[0], both[1]) / self.unit
