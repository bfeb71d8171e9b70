"""The contract of a baseline: learns from texts, answers with a score for every class."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

SMALLEST = 1e-12
"""The probability of a class that training never showed; its logarithm is finite."""


class Baseline(ABC):
    """A plain predictor of texts. Its options are the fields of its constructor."""

    @abstractmethod
    def fit(
        self, texts: Sequence[str], labels: NDArray[np.integer], classes: int, seed: int
    ) -> None:
        """Learns from N texts and their labels.

        Labels are (N,) whole numbers below ``classes``, or (N, classes) of 0 and 1 where a row
        may have several. A class without rows is allowed. The same rows and seed learn the same.
        """

    @abstractmethod
    def logits(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """(N, classes) logits, all finite; call ``fit`` first.

        Their softmax is the classes' probabilities; where a row may have several labels, each
        one's sigmoid.
        """
