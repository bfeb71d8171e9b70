"""Swaps neighbouring words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from toprung.learn.augmenters._base import Augmenter, chosen


@dataclass
class Swap(Augmenter):
    """Chosen words change places with the next one; a text of one word stays.

    Attributes:
        share: of the words; one word at least.

    Source: Wei and Zou 2019, "EDA: Easy Data Augmentation Techniques", arXiv:1901.11196.

    >>> Swap()(["one two"], [np.random.default_rng(0)])
    ['two one']
    """

    share: float = 0.1

    def __call__(self, texts: Sequence[str], chances: Sequence[np.random.Generator]) -> list[str]:
        return [self._swap(text, chance) for text, chance in zip(texts, chances, strict=True)]

    def _swap(self, text: str, chance: np.random.Generator) -> str:
        words = text.split()
        if len(words) < 2:
            return text
        for i in chosen(words[:-1], self.share, chance):
            words[i], words[i + 1] = words[i + 1], words[i]
        return " ".join(words)
