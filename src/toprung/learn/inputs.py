"""Rows to scores: from token ids, or from the frozen layers' cached output."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from toprung.core.seeds import derive_seed
from toprung.learn.augmenters._base import Augmenter
from toprung.learn.augmenters.none import NoAugmenter
from toprung.learn.backbone.locate import Loaded
from toprung.learn.batches import Rows, collate
from toprung.learn.device import free_bytes, place
from toprung.learn.held import Held, hold
from toprung.learn.model import Classifier
from toprung.learn.plan import Plan
from toprung.learn.prefix import Prefix, PrefixKey
from toprung.learn.prefixes import Prefixes
from toprung.learn.tokens import Tokens, cached_tokens, tokenize

_SHARE_OF_FREE_MEMORY = 0.5


class RowInputs(ABC):
    """N rows as a model takes them.

    Attributes:
        device: of the model.
        prefix: what frozen layers make of the rows; None where nothing is kept.
    """

    device: torch.device
    prefix: Prefix | None = None

    @property
    @abstractmethod
    def lengths(self) -> Rows:
        """(N,) tokens of each row, which is what it costs."""

    @abstractmethod
    def scores(self, model: Any, rows: Rows, epoch: int = 0) -> torch.Tensor:
        """Scores of rows, (B, outputs) float32, on the model's device.

        Args:
            model: that scores them, of the kind that takes these rows.
            rows: (B,).
            epoch: of training; counts where rows change from one to the next.
        """


@dataclass
class Inputs(RowInputs):
    """The texts of a split as a model takes them; both ways give the same scores.

    Attributes:
        tokens: of N rows.
        padding: token id.
        device: of the model.
        prefix: of the same rows; None where there is none, or where it does not pay.
        gpus: share of a graphics card that the process was promised, see ``take_share``.
    """

    tokens: Tokens
    padding: int
    device: torch.device
    prefix: Prefix | None = None
    gpus: float = 0.0
    _held: Held | None = field(default=None, init=False, repr=False)
    _may_hold: bool = field(default=True, init=False, repr=False)

    @property
    def lengths(self) -> Rows:
        return self.tokens.lengths

    def scores(self, model: Classifier, rows: Rows, epoch: int = 0) -> torch.Tensor:
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
        return states, place(torch.from_numpy(mask), self.device)

    def _cached(self, model: Classifier, rows: Rows) -> torch.Tensor | None:
        if self.prefix is None:
            return None
        if self._may_hold and self.prefix.share == 1.0:
            # Once all is computed; half of the memory stays for training.
            free = int(_SHARE_OF_FREE_MEMORY * free_bytes(self.device, self.gpus))
            self._held = hold(self.prefix, self.device, free)
            self._may_hold = False
        if self._held is not None:
            return self._held.take(rows)
        try:
            states = self.prefix.take(rows, model.lower, self.device)
        except OSError:  # a full disk costs time, not the trial
            self.prefix = None
            return None
        if not self.prefix.pays:
            self.prefix = None
        return states


@dataclass
class Augmented(Inputs):
    """Texts that are changed anew in every epoch; batches are made by their lengths before.

    Attributes:
        texts: N, as they are.
        augmenter: that changes them.
        backbone: whose tokenizer reads them.
        max_length: longest text in tokens.
        seed: of the changes, with the epoch and the row.
    """

    texts: Sequence[str] = ()
    augmenter: Augmenter = field(default_factory=NoAugmenter)
    backbone: Loaded | None = None
    max_length: int = 0
    seed: int = 0

    def scores(self, model: Classifier, rows: Rows, epoch: int = 0) -> torch.Tensor:
        assert self.backbone is not None
        seeds = [derive_seed(self.seed, "augment", epoch, row) for row in rows.tolist()]
        chances = [np.random.default_rng(seed) for seed in seeds]
        texts = self.augmenter([self.texts[row] for row in rows.tolist()], chances)
        tokens = tokenize(self.backbone.tokenizer, texts, self.max_length)
        batch = collate(tokens, np.arange(len(rows)), self.padding, self.device)
        scores: torch.Tensor = model(*batch)
        return scores


def augment(
    inputs: Inputs,
    texts: Sequence[str],
    augmenter: Augmenter,
    seed: int,
    *,
    backbone: Loaded,
    max_length: int,
) -> Inputs:
    """The same rows, changed by an augmenter; as they are where it changes nothing.

    Raises:
        FixSpec: the backbone lacks what the augmenter needs.
    """
    if not augmenter.changes:
        return inputs
    augmenter.prepare(backbone)
    return Augmented(
        inputs.tokens,
        inputs.padding,
        inputs.device,
        texts=texts,
        augmenter=augmenter,
        backbone=backbone,
        max_length=max_length,
        seed=seed,
    )


def open_inputs(
    plan: Plan, names: Sequence[str], model: Classifier, backbone: Loaded, max_length: int
) -> Inputs:
    """Rows of splits, with the cache of what the frozen layers make of them where it fits.

    Args:
        plan: of the search.
        names: of the splits, whose rows follow one another.
        model: whose frozen layers the cache is of.
        backbone: that the model is built on.
        max_length: longest text in tokens.
    """
    texts = [text for name in names for text in plan.dataset.splits[name].texts]
    tokens = cached_tokens(
        plan.cache,
        backbone.tokenizer,
        backbone.tokenizer_sha256,
        texts,
        max_length=max_length,
    )
    device = next(model.parameters()).device
    inputs = Inputs(tokens, int(backbone.tokenizer.pad_token_id or 0), device, gpus=plan.gpus)
    if model.encoder.frozen_layers and plan.prefix_bytes != 0:
        key = PrefixKey(
            backbone=backbone.sha256,
            config=backbone.config_sha256,
            layers=model.encoder.frozen_layers,
            tokens=tokens.key,
            dtype=model.kept_dtype,
            threads=plan.cpus,
            device=device.type,
        )
        caches = Prefixes(plan.cache / "prefix", plan.prefix_bytes)
        inputs.prefix = caches.open(
            key, tokens, hidden=model.encoder.hidden, padding=inputs.padding
        )
    return inputs
