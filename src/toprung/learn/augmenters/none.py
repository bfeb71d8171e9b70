"""Leaves every text as it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from toprung.learn.augmenters._base import Augmenter


@dataclass
class NoAugmenter(Augmenter):
    """Texts as they are; what frozen layers make of them can be cached."""

    changes = False

    def __call__(self, texts: Sequence[str], chances: Sequence[np.random.Generator]) -> list[str]:
        return list(texts)
