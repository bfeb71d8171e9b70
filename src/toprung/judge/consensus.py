"""Minimum-Bayes-risk choice: of candidate texts, the one that agrees most with the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Texts = NDArray[Any] | Sequence[Sequence[str]]
Floats = NDArray[np.float64]
Agree = Callable[[str, str], float]


class Ballot:
    """The candidates of several members for N rows, and how far each agrees with each other.

    A member's weight is shared by its candidates of a row, the first of which counts most:
    the n-th counts 1/n. What a candidate is worth is its mean agreement with all candidates, its
    own left out: the expected quality if one of them were the truth.

    Args:
        answers: (N,) tuples of candidates, best first, by member.
        agree: from two texts to a number from 0 to 1; the order does not matter.

    Source: Kumar and Byrne 2004, "Minimum Bayes-Risk Decoding for Statistical Machine
    Translation"; Suzgun et al. 2023, "Follow the Wisdom of the Crowd", arXiv:2211.07634.
    """

    def __init__(self, answers: Mapping[str, Texts], agree: Agree) -> None:
        self.names = list(answers)
        rows = list(zip(*(answers[name] for name in self.names), strict=True))
        self.texts = [[text for part in row for text in part] for row in rows]
        self._owners = [_owners(row) for row in rows]
        self._agreement = [_matrix(texts, agree) for texts in self.texts]

    def choose(self, weights: Mapping[str, float]) -> list[int]:
        """The place of the best candidate of each row, in ``texts``.

        Ties, as of candidates that nothing agrees with, fall to the heavier and then to the
        earlier one. Only candidates of members with a weight are chosen.
        """
        heavy = np.array([weights.get(name, 0.0) for name in self.names])
        found = []
        for (owners, shares), agreement in zip(self._owners, self._agreement, strict=True):
            weight = heavy[owners] * shares
            worth = agreement @ weight / np.maximum(1e-12, weight.sum() - weight)
            worth[heavy[owners] <= 0] = -1.0
            best = np.flatnonzero(worth >= worth.max() - 1e-9)
            found.append(int(best[np.argmax(weight[best])]))
        return found


def choose_texts(
    answers: Mapping[str, Texts], weights: Mapping[str, float], agree: Agree
) -> list[str]:
    """Each row's candidate that agrees most with the others.

    >>> one, other = [("a b", "x y")], [("a b",)]
    >>> choose_texts({"one": one, "other": other}, {"one": 0.5, "other": 0.5}, str.__eq__)
    ['a b']
    """
    ballot = Ballot({name: answers[name] for name in weights}, agree)
    chosen = zip(ballot.texts, ballot.choose(weights), strict=True)
    return [texts[place] for texts, place in chosen]


def _owners(row: Sequence[Sequence[str]]) -> tuple[NDArray[np.int64], Floats]:
    """The member of each candidate, and its share of the member's weight."""
    owners = np.repeat(np.arange(len(row)), [len(part) for part in row])
    shares = [1 / np.arange(1, len(part) + 1) for part in row]
    return owners, np.concatenate([share / share.sum() for share in shares])


def _matrix(texts: Sequence[str], agree: Agree) -> Floats:
    """Agreement of each with each other, and 0 with itself."""
    found = np.zeros((len(texts), len(texts)))
    for i, one in enumerate(texts):
        for j in range(i):
            found[i, j] = found[j, i] = agree(one, texts[j])
    return found
