"""Changes the case of words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from toprung.learn.augmenters._base import Augmenter, chosen


@dataclass
class Case(Augmenter):
    """Chosen words become all lower case, all upper case, or capitalised.

    A backbone whose tokenizer lowers everything sees no difference.

    Attributes:
        share: of the words; one word at least.

    >>> Case(share=1.0)(["good Day"], [np.random.default_rng(6)])
    ['Good DAY']
    """

    share: float = 0.1

    def __call__(self, texts: Sequence[str], chances: Sequence[np.random.Generator]) -> list[str]:
        return [self._recase(text, chance) for text, chance in zip(texts, chances, strict=True)]

    def _recase(self, text: str, chance: np.random.Generator) -> str:
        words = text.split()
        for i in chosen(words, self.share, chance):
            word = words[i]
            forms = (word.lower(), word.upper(), word.capitalize())
            words[i] = forms[int(chance.integers(3))]
        return " ".join(words)
