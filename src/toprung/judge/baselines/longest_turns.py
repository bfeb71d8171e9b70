"""Answers with the longest turns or sentences of the text, in their order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from numpy.typing import NDArray

from toprung.data.answers import as_texts as answers_of
from toprung.data.series import Content
from toprung.judge.baselines._base import Baseline, as_texts
from toprung.judge.baselines._turns import turns


@dataclass
class LongestTurns(Baseline):
    """The n longest turns of a dialogue, or sentences of a text; ties fall to the earlier one.

    Attributes:
        turns: how many.

    >>> LongestTurns(turns=1).logits(["Ann: Hi!\\nBob: Hello, Ann."]).tolist()
    [('Bob: Hello, Ann.',)]
    """

    answers: ClassVar[str] = "texts"

    turns: int = 2

    def fit(self, rows: Content, labels: NDArray[Any], classes: int, seed: int) -> None:
        """Nothing is learned."""

    def logits(self, rows: Content) -> NDArray[Any]:
        return answers_of([(self._pick(text),) for text in as_texts(rows)])

    def _pick(self, text: str) -> str:
        parts = turns(text)
        longest = sorted(range(len(parts)), key=lambda n: (-len(parts[n]), n))[: self.turns]
        return " ".join(parts[n] for n in sorted(longest))
