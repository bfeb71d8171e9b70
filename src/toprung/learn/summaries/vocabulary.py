"""The tokens that a decoder may write: those of the training targets, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toprung.learn.batches import Rows
from toprung.learn.tokens import Tokens, tokenize


@dataclass(frozen=True)
class Vocabulary:
    """The V tokens of a decoder, numbered from 0.

    Training never raises the probability of a token that no target has, so nothing is lost by
    leaving it out; of 30,522 word pieces, the summaries of dialogsum have about a third.

    Attributes:
        kept: ids of the tokenizer, ascending.
        begin: id that every text starts from; not written.
        end: id that ends a text.
    """

    kept: tuple[int, ...]
    begin: int
    end: int

    def __len__(self) -> int:
        return len(self.kept)

    @cached_property
    def ids(self) -> NDArray[np.int64]:
        """(V,) ids of the tokenizer."""
        return np.array(self.kept, dtype=np.int64)

    def number(self, token: int) -> int:
        """A token's own number."""
        return int(np.searchsorted(self.ids, token))

    def targets(self, tokens: Tokens, rows: Rows) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """What a decoder reads and what it is to write, (B, T) each, padded with -1 in the latter.

        A token that is not kept, as in a text that was not trained on, counts as padding.
        """
        starts, ends = tokens.offsets[rows], tokens.offsets[rows + 1]
        width = int((ends - starts).max())
        written = np.full((len(rows), width), -1, dtype=np.int64)
        for row, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
            own = np.asarray(tokens.ids[start:end], dtype=np.int64)
            places = np.minimum(np.searchsorted(self.ids, own), len(self) - 1)
            written[row, : end - start] = np.where(self.ids[places] == own, places, -1)
        begin = self.number(self.begin)
        read = np.full_like(written, begin)
        read[:, 1:] = np.where(written[:, :-1] < 0, begin, written[:, :-1])
        return read, written


def vocabulary_of(tokens: Tokens, begin: int, end: int) -> Vocabulary:
    """The vocabulary of training targets.

    >>> ids, offsets = np.array([7, 3, 2], np.int32), np.array([0, 3])
    >>> vocabulary_of(Tokens(ids, offsets), begin=1, end=2).kept
    (1, 2, 3, 7)
    """
    seen = np.union1d(np.asarray(tokens.ids), np.array([begin, end]))
    return Vocabulary(tuple(int(token) for token in seen), begin, end)


def tokenize_targets(
    tokenizer: Any, texts: Sequence[str], max_length: int, begin: int, end: int
) -> Tokens:
    """Targets as a decoder writes them: without the token that starts a text, with the last one."""
    pieces: list[NDArray[np.int32]] = []
    whole = tokenize(tokenizer, texts, max_length + 1)
    for start, stop in pairwise(whole.offsets.tolist()):
        ids = whole.ids[start:stop]
        own = ids[(ids != begin) & (ids != end)][: max_length - 1]
        pieces.append(np.append(own, np.int32(end)))
    offsets = np.zeros(len(texts) + 1, dtype=np.int64)
    np.cumsum([len(piece) for piece in pieces], out=offsets[1:])
    joined = np.concatenate(pieces) if pieces else np.zeros(0, dtype=np.int32)
    return Tokens(joined.astype(np.int32), offsets)
