"""Answers with the first turns or sentences of the text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from numpy.typing import NDArray

from toprung.data.answers import as_texts as answers_of
from toprung.data.series import Content
from toprung.judge.baselines._base import Baseline, as_texts
from toprung.judge.baselines._turns import turns


@dataclass
class Lead(Baseline):
    """The first n turns of a dialogue, or sentences of a text: what news are summed up by.

    Attributes:
        turns: how many.

    >>> Lead(turns=1).logits(["Ann: Hi!\\nBob: Hello."]).tolist()
    [('Ann: Hi!',)]
    """

    answers: ClassVar[str] = "texts"

    turns: int = 3

    def fit(self, rows: Content, labels: NDArray[Any], classes: int, seed: int) -> None:
        """Nothing is learned."""

    def logits(self, rows: Content) -> NDArray[Any]:
        return answers_of([(" ".join(turns(text)[: self.turns]),) for text in as_texts(rows)])
