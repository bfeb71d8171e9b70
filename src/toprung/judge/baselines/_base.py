"""The contract of a baseline: learns from rows, answers with a score for every class."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from toprung.data.series import Content, Series


class Baseline(ABC):
    """A plain predictor of rows. Its options are the fields of its constructor."""

    reads: ClassVar[tuple[str, ...]] = ("texts",)
    """Which kinds of rows: ``texts``, ``series``, or both."""
    answers: ClassVar[str] = "classes"
    """What it answers: ``classes``, or ``texts``, as (N,) tuples in the place of logits."""
    joins: ClassVar[bool] = False
    """Whether an ensemble may have it as a member; ``learned`` is then all that it needs."""

    learned: Mapping[str, NDArray[Any]]
    """After ``fit``, where it ``joins``: what it learned, as plain arrays."""

    @abstractmethod
    def fit(self, rows: Content, labels: NDArray[np.integer], classes: int, seed: int) -> None:
        """Learns from N rows and their labels.

        Labels are (N,) whole numbers below ``classes``, or (N, classes) of 0 and 1 where a row
        may have several. A class without rows is allowed. The same rows and seed learn the same.
        """

    @abstractmethod
    def logits(self, rows: Content) -> NDArray[np.float64]:
        """(N, classes) logits, all finite; call ``fit`` first.

        Their softmax is the classes' probabilities; where a row may have several labels, each
        one's sigmoid.
        """


def as_texts(rows: Content) -> Sequence[str]:
    """Rows that are texts.

    Raises:
        TypeError: they are windows.
    """
    if isinstance(rows, Series):
        raise TypeError("this baseline reads texts, not windows")
    return rows


def as_series(rows: Content) -> Series:
    """Rows that are windows.

    Raises:
        TypeError: they are texts.
    """
    if not isinstance(rows, Series):
        raise TypeError("this baseline reads windows, not texts")
    return rows
