"""The order of rows: seeded, length-bucketed batches that any position can be resumed from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from toprung.core.seeds import derive_seed
from toprung.learn.device import place
from toprung.learn.tokens import Tokens

Rows = NDArray[np.int64]

_POOL = 50


@dataclass(frozen=True)
class Position:
    """Where training stands: so many batches of an epoch, so many examples in all."""

    epoch: int = 0
    batch: int = 0
    examples: int = 0


@dataclass(frozen=True)
class Batches:
    """The batches of each epoch; the same for the same seed, whatever was asked before.

    Rows are shuffled, then sorted by length within pools of 50 batches, so that a batch is padded
    little; the batches of a pool are shuffled again.

    Attributes:
        lengths: (N,) tokens of each row.
        size: rows of a batch; the last of an epoch may have fewer.
        seed: of the order.
        weights: (N,) chances of rows to be drawn, with replacement; None takes each row once.
    """

    lengths: Rows
    size: int
    seed: int
    weights: NDArray[np.float64] | None = None

    def epoch(self, number: int) -> list[Rows]:
        """The batches of an epoch, longest row of each first."""
        chance = np.random.default_rng(derive_seed(self.seed, "order", number))
        count = len(self.lengths)
        if self.weights is None:
            order = chance.permutation(count)
        else:
            order = chance.choice(count, count, p=self.weights)
        batches: list[Rows] = []
        for start in range(0, count, self.size * _POOL):
            pool = order[start : start + self.size * _POOL]
            pool = pool[np.argsort(-self.lengths[pool], kind="stable")]
            cut = [pool[i : i + self.size] for i in range(0, len(pool), self.size)]
            batches += [cut[i] for i in chance.permutation(len(cut))]
        return batches

    def after(self, position: Position) -> Iterator[tuple[Rows, Position]]:
        """Batches without end from a position, each with the position after it."""
        epoch, start, examples = position.epoch, position.batch, position.examples
        while True:
            batches = self.epoch(epoch)
            for number in range(start, len(batches)):
                examples += len(batches[number])
                yield batches[number], Position(epoch, number + 1, examples)
            epoch, start = epoch + 1, 0


def cut(rows: Rows, lengths: Rows, most_rows: int, most_tokens: int) -> list[Rows]:
    """Micro-batches of a batch: so many rows at most, and so many tokens with their padding.

    A row that alone has more tokens stands alone.

    Args:
        rows: (B,) of the batch, longest first.
        lengths: (B,) their tokens.
        most_rows: of a micro-batch.
        most_tokens: rows times the longest of them.

    >>> [part.tolist() for part in cut(np.arange(5), np.array([9, 4, 4, 2, 2]), 3, 8)]
    [[0], [1, 2], [3, 4]]
    """
    parts: list[Rows] = []
    start = 0
    while start < len(rows):
        size = max(1, min(most_rows, most_tokens // max(1, int(lengths[start]))))
        parts.append(rows[start : start + size])
        start += size
    return parts


def nested_order(labels: Rows) -> Rows:
    """An order of rows whose every beginning has the classes in about their proportions.

    It depends on the labels alone, so that all trials are measured on the same rows.

    >>> nested_order(np.array([0, 0, 0, 0, 1, 1]))[:3].tolist()
    [2, 5, 0]
    """
    chance = np.random.default_rng(0)
    place = np.empty(len(labels))
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        place[chance.permutation(rows)] = (np.arange(len(rows)) + 0.5) / len(rows)
    return np.argsort(place, kind="stable")


def row_weights(labels: Rows, sampling: str) -> NDArray[np.float64] | None:
    """Chances of rows to be drawn: ∝ 1/count of their class, or 1/√count; None draws each once.

    >>> row_weights(np.array([0, 1, 1]), "balanced").tolist()
    [0.5, 0.25, 0.25]
    """
    if sampling == "plain":
        return None
    counts = np.bincount(labels)[labels].astype(np.float64)
    raw = counts ** (-1.0 if sampling == "balanced" else -0.5)
    normed: NDArray[np.float64] = raw / raw.sum()
    return normed


def collate(
    tokens: Tokens, rows: Rows, padding: int, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and mask of rows, padded to the longest: two (B, T) int64 tensors."""
    starts, ends = tokens.offsets[rows], tokens.offsets[rows + 1]
    lengths = ends - starts
    width = max(1, int(lengths.max()))
    ids = np.full((len(rows), width), padding, dtype=np.int64)
    for i, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
        ids[i, : end - start] = tokens.ids[start:end]
    mask = (np.arange(width) < lengths[:, None]).astype(np.int64)
    both = place(torch.from_numpy(np.stack([ids, mask])), device)
    return both[0], both[1]
