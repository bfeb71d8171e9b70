"""Makes typing errors in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from toprung.learn.augmenters._base import Augmenter, chosen


@dataclass
class Typo(Augmenter):
    """In chosen words two neighbouring letters change places, or one is lost or typed twice.

    Attributes:
        share: of the words; one word at least. Words of one letter stay.

    Source: Belinkov and Bisk 2018, "Synthetic and Natural Noise Both Break Neural Machine
    Translation", arXiv:1711.02173.

    >>> Typo(share=1.0)(["refund please"], [np.random.default_rng(1)])
    ['erfund pleasse']
    """

    share: float = 0.1

    def __call__(self, texts: Sequence[str], chances: Sequence[np.random.Generator]) -> list[str]:
        return [self._mistype(text, chance) for text, chance in zip(texts, chances, strict=True)]

    def _mistype(self, text: str, chance: np.random.Generator) -> str:
        words = text.split()
        for i in chosen(words, self.share, chance):
            word = words[i]
            if len(word) < 2:
                continue
            at = int(chance.integers(len(word) - 1))
            first, second = word[at], word[at + 1]
            kinds = (second + first, first, first + first + second)
            words[i] = word[:at] + kinds[int(chance.integers(3))] + word[at + 2 :]
        return " ".join(words)
