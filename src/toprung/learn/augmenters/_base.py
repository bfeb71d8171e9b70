"""The contract of an augmenter."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from toprung.learn.backbone.locate import Loaded


class Augmenter(ABC):
    """Changes texts whose label stays; only what is trained on is changed."""

    changes: bool = True
    """Whether it changes anything at all."""

    def prepare(self, backbone: Loaded) -> None:
        """Takes from the backbone what it needs.

        Raises:
            FixSpec: the backbone lacks it.
        """
        return

    @abstractmethod
    def __call__(self, texts: Sequence[str], chances: Sequence[np.random.Generator]) -> list[str]:
        """The texts, changed.

        Args:
            texts: N of them.
            chances: one generator a text, so that a text's change does not depend on the others.
        """


def chosen(words: Sequence[str], share: float, chance: np.random.Generator) -> list[int]:
    """Places of words, ascending: each with that chance, but one at least.

    >>> chosen(["a", "b", "c"], 0.0, np.random.default_rng(0))
    [0]
    """
    if not words:
        return []
    drawn = np.flatnonzero(chance.random(len(words)) < share)
    return [int(i) for i in drawn] if len(drawn) else [int(chance.integers(len(words)))]
