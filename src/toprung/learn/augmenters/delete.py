"""Deletes words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from toprung.learn.augmenters._base import Augmenter, chosen


@dataclass
class Delete(Augmenter):
    """Chosen words are left out; one word always stays.

    Attributes:
        share: of the words; one word at least.

    Source: Wei and Zou 2019, "EDA: Easy Data Augmentation Techniques", arXiv:1901.11196.

    >>> Delete(share=0.9)(["one two three", "alone"], [np.random.default_rng(s) for s in (0, 1)])
    ['three', 'alone']
    """

    share: float = 0.1

    def __call__(self, texts: Sequence[str], chances: Sequence[np.random.Generator]) -> list[str]:
        return [self._delete(text, chance) for text, chance in zip(texts, chances, strict=True)]

    def _delete(self, text: str, chance: np.random.Generator) -> str:
        words = text.split()
        if len(words) < 2:
            return text
        gone = set(chosen(words, self.share, chance))
        kept = [word for i, word in enumerate(words) if i not in gone]
        return " ".join(kept or words[-1:])
