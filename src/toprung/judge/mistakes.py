"""Which rows were answered wrongly, which are doubtful, and what the wrong ones share."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2_contingency, fisher_exact

from toprung.judge.significance import holm, wilson
from toprung.judge.verdicts import Verdicts

Floats = NDArray[np.floating]
Marks = NDArray[np.bool_]

_WORD = re.compile(r"[^\W\d_]{2,}")
_MOST_WORDS = 300
_FEWEST_ROWS = 20


@dataclass(frozen=True)
class Case:
    """One row.

    Attributes:
        row: index in the split.
        text: as it is.
        actual, answered: class names; none where the row has none.
        confidence: probability of what is told about: of the answered class, or of the class
            in question.
    """

    row: int
    text: str
    actual: str
    answered: str
    confidence: float


@dataclass(frozen=True)
class Band:
    """Rows of like length.

    Attributes:
        low, high: words, both inclusive.
        rows, wrong: counts.
        interval: 95 % of the share of wrong ones, by Wilson.
    """

    low: int
    high: int
    rows: int
    wrong: int
    interval: tuple[float, float]

    @property
    def share(self) -> float:
        """Of wrong rows."""
        return self.wrong / self.rows


@dataclass(frozen=True)
class Word:
    """A word whose rows are wrong more or less often than the others.

    Attributes:
        word: in lower case.
        rows: that contain it.
        wrong: of them.
        share: of wrong ones among the rows without it.
        p_value: of Fisher's exact test, corrected for all words that were tested, by Holm.
    """

    word: str
    rows: int
    wrong: int
    share: float
    p_value: float


@dataclass(frozen=True, eq=False)
class Mistakes:
    """What is to be said of wrong answers.

    Attributes:
        rows, wrong: counts; of several labels a row is wrong if any is.
        false_positives, false_negatives: surest first: of two classes those about the second, of
            several labels all; else empty.
        confident: wrong answers, surest first, where there are more than two exclusive classes.
        ambiguous: rows with the least certain answers.
        ambiguous_share: of wrong ones in the tenth of the rows with the least certain answers.
        suspects: rows where ensemble and baseline agree against the label, surest first.
        suspected: how many such rows there are.
        baseline: which one; empty without suspects.
        bands: by length; empty where there are too few rows.
        band_p_value: of a chi-squared test over the bands; None without them.
        words: that matter, surest first.
        words_tested: how many were looked at.
    """

    rows: int
    wrong: int
    false_positives: tuple[Case, ...]
    false_negatives: tuple[Case, ...]
    confident: tuple[Case, ...]
    ambiguous: tuple[Case, ...]
    ambiguous_share: float
    suspects: tuple[Case, ...]
    suspected: int
    baseline: str
    bands: tuple[Band, ...]
    band_p_value: float | None
    words: tuple[Word, ...]
    words_tested: int


def find_mistakes(
    verdicts: Verdicts, texts: Sequence[str], *, most: int = 5, sure: float = 0.9
) -> Mistakes:
    """Looks through the first contender's answers on the test split.

    Args:
        verdicts: on the test split.
        texts: of the same rows.
        most: cases of each kind.
        sure: probability from which on ensemble and baseline speak against a label.
    """
    look = _Look(verdicts, texts)
    bands, band_p_value = _bands(texts, look.wrong)
    words, tested = _words(texts, look.wrong)
    suspects, suspected, baseline = look.suspects(most, sure)
    tenth = look.doubtful[: max(1, len(texts) // 10)]
    two = look.pairs
    return Mistakes(
        rows=len(texts),
        wrong=int(look.wrong.sum()),
        false_positives=look.false_positives(most) if two else (),
        false_negatives=look.false_negatives(most) if two else (),
        confident=() if two else look.confident(most),
        ambiguous=look.ambiguous(most),
        ambiguous_share=float(look.wrong[tenth].mean()),
        suspects=suspects,
        suspected=suspected,
        baseline=baseline,
        bands=bands,
        band_p_value=band_p_value,
        words=words,
        words_tested=tested,
    )


class _Look:
    """The answers of the first contender, row by row."""

    def __init__(self, verdicts: Verdicts, texts: Sequence[str]) -> None:
        self.verdicts, self.texts = verdicts, texts
        first, task = verdicts.first, verdicts.task
        self.names = verdicts.label_names
        self.probabilities = task.probabilities(first.logits)
        self.answered: Marks = task.decide(self.probabilities, first.thresholds)
        self.true: Marks = task.marks(verdicts.labels, len(self.names))
        self.wrong: Marks = (self.answered != self.true).any(axis=1)
        self.pairs = task.many or len(self.names) == 2
        self.classes = list(range(len(self.names))) if task.many else [1]
        self.limits = np.full(len(self.names), 0.5)
        if first.thresholds is not None:
            self.limits = np.asarray(first.thresholds, np.float64)
        self.margins = self._margins()
        self.doubtful = np.argsort(self.margins, kind="stable")

    def _margins(self) -> Floats:
        """(N,) how far an answer is from turning over."""
        if self.verdicts.task.many:
            return np.asarray(np.abs(self.probabilities - self.limits).min(axis=1))
        best = np.sort(self.probabilities, axis=1)[:, -2:]
        return np.asarray(best[:, 1] - best[:, 0])

    def _case(self, row: int, confidence: float, name: str = "") -> Case:
        return Case(
            row,
            self.texts[row],
            self._named(self.true[row]),
            name or self._named(self.answered[row]),
            confidence,
        )

    def _named(self, marks: Marks) -> str:
        return ", ".join(self.names[c] for c in np.flatnonzero(marks))

    def _cells(self, wanted: Marks, certainty: Floats, most: int) -> tuple[Case, ...]:
        """The surest pairs of row and class."""
        rows, columns = np.nonzero(wanted[:, self.classes])
        classes = np.array(self.classes)[columns]
        order = np.argsort(-certainty[rows, classes], kind="stable")[:most]
        many = self.verdicts.task.many
        return tuple(
            self._case(
                int(rows[i]),
                float(self.probabilities[rows[i], classes[i]]),
                self.names[classes[i]] if many else "",
            )
            for i in order
        )

    def false_positives(self, most: int) -> tuple[Case, ...]:
        return self._cells(self.answered & ~self.true, self.probabilities, most)

    def false_negatives(self, most: int) -> tuple[Case, ...]:
        return self._cells(~self.answered & self.true, -self.probabilities, most)

    def confident(self, most: int) -> tuple[Case, ...]:
        sure = self.probabilities.max(axis=1)
        rows = np.flatnonzero(self.wrong)
        order = rows[np.argsort(-sure[rows], kind="stable")][:most]
        return tuple(self._case(int(row), float(sure[row])) for row in order)

    def ambiguous(self, most: int) -> tuple[Case, ...]:
        found = []
        for row in self.doubtful[:most]:
            shares = self.probabilities[row]
            if self.verdicts.task.many:
                nearest = int(np.abs(shares - self.limits).argmin())
                found.append(self._case(int(row), float(shares[nearest]), self.names[nearest]))
            else:
                found.append(self._case(int(row), float(shares.max())))
        return tuple(found)

    def suspects(self, most: int, sure: float) -> tuple[tuple[Case, ...], int, str]:
        """Rows where the ensemble is sure of another class and a baseline answers the same.

        Returns:
            The surest, how many there are, and which baseline.
        """
        other = self.verdicts.best_baseline()
        if other is None or self.verdicts.task.many:
            return (), 0, ""
        certain = self.probabilities.max(axis=1)
        same = other.logits.argmax(axis=1) == self.probabilities.argmax(axis=1)
        rows = np.flatnonzero(self.wrong & same & (certain >= sure))
        order = rows[np.argsort(-certain[rows], kind="stable")][:most]
        cases = tuple(self._case(int(row), float(certain[row])) for row in order)
        return cases, len(rows), other.who


def _bands(texts: Sequence[str], wrong: Marks) -> tuple[tuple[Band, ...], float | None]:
    """Up to five bands of about equally many rows, and whether they differ."""
    words = np.array([len(text.split()) for text in texts])
    if len(words) < 5 * _FEWEST_ROWS:
        return (), None
    edges = np.unique(np.quantile(words, [0.2, 0.4, 0.6, 0.8], method="lower"))
    places = np.searchsorted(edges, words)
    found = []
    for place in np.unique(places):
        inside = places == place
        rows, bad = int(inside.sum()), int(wrong[inside].sum())
        own = words[inside]
        found.append(Band(int(own.min()), int(own.max()), rows, bad, wilson(bad, rows)))
    if len(found) < 2 or not 0 < wrong.sum() < len(wrong):
        return tuple(found) if len(found) > 1 else (), None
    cells = np.array([[band.wrong, band.rows - band.wrong] for band in found])
    return tuple(found), float(chi2_contingency(cells, correction=False).pvalue)


def _words(texts: Sequence[str], wrong: Marks) -> tuple[tuple[Word, ...], int]:
    """The frequent words whose rows are wrong more or less often, at 5 % after correction."""
    inside = [set(_WORD.findall(text.casefold())) for text in texts]
    counts = Counter(word for words in inside for word in words)
    total = len(texts)
    frequent = [
        word
        for word, rows in sorted(counts.items(), key=lambda one: (-one[1], one[0]))
        if _FEWEST_ROWS <= rows <= total - _FEWEST_ROWS
    ][:_MOST_WORDS]
    if not frequent or not 0 < wrong.sum() < total:
        return (), 0
    bad = Counter(word for words, w in zip(inside, wrong, strict=True) if w for word in words)
    all_bad = int(wrong.sum())
    p_values = []
    for word in frequent:
        rows, own = counts[word], bad[word]
        cells = [[own, rows - own], [all_bad - own, total - rows - all_bad + own]]
        p_values.append(float(fisher_exact(cells).pvalue))
    found = [
        Word(word, counts[word], bad[word], (all_bad - bad[word]) / (total - counts[word]), p)
        for word, p in zip(frequent, holm(p_values), strict=True)
        if p <= 0.05
    ]
    found.sort(key=lambda one: (one.p_value, one.word))
    return tuple(found[:15]), len(frequent)
