"""ROUGE of answers against references, by the library rouge-score, each text read once."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from rouge_score.rouge_scorer import RougeScorer
from rouge_score.tokenizers import DefaultTokenizer, Tokenizer

ROUGE = ("rouge1", "rouge2", "rougeL", "rougeLsum")
Texts = Sequence[str]

_SENTENCE = re.compile(r"(?<=[.!?])\s+")
_PLAIN = DefaultTokenizer(use_stemmer=True)
_KEPT = 1 << 17


class _Remembering(Tokenizer):  # type: ignore[misc]
    """The library's tokens, kept: most of its time goes to stemming the same words again."""

    def tokenize(self, text: str) -> list[str]:
        return list(_tokens(text))


@lru_cache(maxsize=_KEPT)
def _tokens(text: str) -> tuple[str, ...]:
    return tuple(_PLAIN.tokenize(text))


_SCORER = RougeScorer(ROUGE, tokenizer=_Remembering())


def sentences(text: str) -> list[str]:
    """The sentences of a text: cut behind ``.``, ``!`` and ``?`` before white space.

    >>> sentences("He leaves. Why? Nobody knows.")
    ['He leaves.', 'Why?', 'Nobody knows.']
    """
    return [part for part in _SENTENCE.split(text.strip()) if part]


@lru_cache(maxsize=_KEPT)
def score(answer: str, references: tuple[str, ...]) -> tuple[float, ...]:
    """The F1 of an answer in the order of ``ROUGE``: of each, that of the best reference.

    As ``score_multi`` of rouge-score does it, with stemming; ROUGE-Lsum goes sentence by sentence.

    Source: Lin 2004, "ROUGE: A Package for Automatic Evaluation of Summaries".

    >>> score("the cat sat", ("the cat sat", "no"))
    (1.0, 1.0, 1.0, 1.0)
    """
    split = ["\n".join(sentences(text)) for text in references]
    found = _SCORER.score_multi(split, "\n".join(sentences(answer)))
    return tuple(float(found[name].fmeasure) for name in ROUGE)


def score_rows(answers: Texts, references: Sequence[tuple[str, ...]]) -> NDArray[np.float64]:
    """(N, 4) F1 of N answers, each against its own references."""
    rows = [score(a, r) for a, r in zip(answers, references, strict=True)]
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(ROUGE))


@lru_cache(maxsize=1 << 19)
def agreement(one: str, other: str) -> float:
    """How far two texts say the same: the mean F1 of their stemmed words and pairs of words.

    >>> agreement("a b c", "a b c"), agreement("a b", "c d")
    (1.0, 0.0)
    """
    if one == other:
        return 1.0
    first, second = _grams(one), _grams(other)
    return sum(_f1(a, b) for a, b in zip(first, second, strict=True)) / len(first)


@lru_cache(maxsize=_KEPT)
def _grams(text: str) -> tuple[Counter[object], Counter[object]]:
    words = _tokens(text)
    return Counter(words), Counter(pairwise(words))


def _f1(one: Counter[object], other: Counter[object]) -> float:
    total = one.total() + other.total()
    return 2 * (one & other).total() / total if total else 0.0
