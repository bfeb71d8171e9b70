"""TF-IDF of words and word pairs under a logistic regression."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.multiclass import OneVsRestClassifier

from toprung.core.seeds import derive_seed
from toprung.data.series import Content
from toprung.judge.baselines._base import SMALLEST, Baseline, as_texts
from toprung.judge.counts import FROM_COUNTS, count_classes

_GRID = (1.0, 4.0, 16.0)
_CERTAIN = 20.0
_MANY_ROWS = 10_000


@dataclass
class TfidfLogreg(Baseline):
    """1- and 2-grams, sublinear term frequency, one L2-regularised regression a class.

    Of 10,000 rows and more, what a single one of them has is left out: as good, in a fifth of the
    time.

    Attributes:
        c: inverse strength of the regularisation. None chooses among 1, 4 and 16 by macro-F1 on
            a fifth of the training rows that are held out, seeded, of at most ``tuning_rows``;
            then all rows are fitted. No other split is looked at. Where a row may have several
            labels, the choice is by macro average precision.
        tuning_rows: training rows that the choice of ``c`` looks at.
    """

    c: float | None = None
    tuning_rows: int = 4000
    chosen_c: float = field(default=0.0, init=False)
    _constant: NDArray[np.integer] | None = field(default=None, init=False, repr=False)
    _classes: int = field(default=0, init=False)
    _vectors: Any = field(default=None, init=False, repr=False)
    _model: Any = field(default=None, init=False, repr=False)
    _known: NDArray[np.int64] = field(
        default_factory=lambda: np.zeros(0, np.int64), init=False, repr=False
    )

    def fit(self, rows: Content, labels: NDArray[np.integer], classes: int, seed: int) -> None:
        texts = as_texts(rows)
        self._classes = classes
        # A label that all rows have, or none, is answered so without being learned.
        self._known = np.unique(labels) if labels.ndim == 1 else _learnable(labels)
        self._constant = labels[0] if labels.ndim == 2 else None
        self._vectors = _vectorizer(texts)
        features = self._vectors.transform(texts)
        self.chosen_c = self.c if self.c is not None else self._choose(features, labels, seed)
        if labels.ndim == 2:
            if len(self._known):
                self._model = _regressions(self.chosen_c)
                self._model.fit(features, labels[:, self._known])
            return
        self._model = _regressions(self.chosen_c)
        if len(self._known) > 1:
            self._model.fit(features, labels)

    def logits(self, rows: Content) -> NDArray[np.float64]:
        texts = as_texts(rows)
        if self._constant is not None:
            scores = np.tile(np.where(self._constant > 0, _CERTAIN, -_CERTAIN), (len(texts), 1))
            if len(self._known):
                found = self._model.decision_function(self._vectors.transform(texts))
                scores[:, self._known] = found.reshape(len(texts), -1)
            return np.asarray(scores, np.float64)
        shares = np.full((len(texts), self._classes), SMALLEST)
        if len(self._known) > 1:
            found = self._model.predict_proba(self._vectors.transform(texts))
            shares[:, self._known] = np.maximum(found, SMALLEST)
        else:
            shares[:, self._known] = 1.0
        return np.asarray(np.log(shares))

    def _choose(self, features: Any, labels: NDArray[np.integer], seed: int) -> float:
        chance = np.random.default_rng(derive_seed(seed, "tfidf_logreg"))
        rows = chance.permutation(len(labels))[: self.tuning_rows]
        held_out, kept = np.split(rows, [len(rows) // 5])
        if labels.ndim == 2:
            return self._choose_many(features, labels, held_out, kept)
        if not len(held_out) or len(np.unique(labels[kept])) < 2:
            return _GRID[1]
        scores = {}
        for c in _GRID:
            model = _regressions(c).fit(features[kept], labels[kept])
            predicted = np.asarray(model.predict(features[held_out]), np.int64)
            counts = count_classes(labels[held_out], predicted, self._classes)
            scores[c] = float(FROM_COUNTS["macro_f1"](counts))
        return max(scores, key=lambda c: (scores[c], -c))

    def _choose_many(
        self,
        features: Any,
        labels: NDArray[np.integer],
        held_out: NDArray[np.integer],
        kept: NDArray[np.integer],
    ) -> float:
        known = np.intersect1d(_learnable(labels[kept]), _learnable(labels[held_out]))
        if not len(known):
            return _GRID[1]
        scores = {}
        for c in _GRID:
            model = _regressions(c).fit(features[kept], labels[kept][:, known])
            found = model.decision_function(features[held_out]).reshape(len(held_out), -1)
            scores[c] = average_precision_score(labels[held_out][:, known], found, average="macro")
        return max(scores, key=lambda c: (scores[c], -c))


def _learnable(labels: NDArray[np.integer]) -> NDArray[np.int64]:
    """The labels that some rows have and some have not."""
    if not len(labels):
        return np.zeros(0, np.int64)
    return np.flatnonzero(labels.any(axis=0) & ~labels.all(axis=0))


def _regressions(c: float) -> Any:
    # By coordinate descent in the dual, which costs what rows have words, not what all words are.
    one = LogisticRegression(C=c, solver="liblinear", dual=True, max_iter=1000, random_state=0)
    return OneVsRestClassifier(one)


def _vectorizer(texts: Sequence[str]) -> Any:
    """Learns the vocabulary; texts without any word give one that knows a placeholder only."""
    fewest = 2 if len(texts) >= _MANY_ROWS else 1
    for given, least in ((texts, fewest), (texts, 1), (["word"], 1)):
        vectors = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=least)
        # scikit-learn's word for an empty vocabulary
        with suppress(ValueError):
            return vectors.fit(given)
    raise AssertionError("a placeholder is a vocabulary")
