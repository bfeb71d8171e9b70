"""TF-IDF of words and word pairs under a logistic regression."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.multiclass import OneVsRestClassifier

from toprung.core.seeds import derive_seed
from toprung.data.series import Content
from toprung.judge.baselines._base import Baseline, as_texts
from toprung.judge.baselines._plain import Words, as_bytes
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

    joins: ClassVar[bool] = True

    c: float | None = None
    tuning_rows: int = 4000
    chosen_c: float = field(default=0.0, init=False)
    learned: dict[str, NDArray[Any]] = field(default_factory=dict, init=False, repr=False)
    _scorer: Words | None = field(default=None, init=False, repr=False)
    _classes: int = field(default=0, init=False)

    def fit(self, rows: Content, labels: NDArray[np.integer], classes: int, seed: int) -> None:
        texts = as_texts(rows)
        self._classes = classes
        vectors = _vectorizer(texts)
        features = vectors.transform(texts)
        self.chosen_c = self.c if self.c is not None else self._choose(features, labels, seed)
        many = labels.ndim == 2
        weights = np.zeros((features.shape[1], classes), np.float32)
        # A label that all rows have, or none, is answered so without being learned.
        known = _learnable(labels) if many else np.unique(labels)
        bias = _certain(labels[0]) if many else np.full(classes, -np.inf)
        if many and len(known):
            weights[:, known], bias[known] = _learn(features, labels[:, known], self.chosen_c)
        elif not many and len(known) > 1:
            weights[:, known], bias[known] = _learn(features, labels, self.chosen_c)
        elif not many:
            bias[known] = np.inf
        self.learned = {
            "terms": as_bytes(vectors.get_feature_names_out()),
            "idf": vectors.idf_,
            "weights": weights,
            "bias": bias,
            "many": np.array(many),
        }
        self._scorer = Words(self.learned)

    def logits(self, rows: Content) -> NDArray[np.float64]:
        texts = as_texts(rows)
        assert self._scorer is not None, "call fit first"
        return self._scorer.logits(texts)

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


def _certain(labels: NDArray[np.integer]) -> NDArray[np.float64]:
    return np.where(labels > 0, _CERTAIN, -_CERTAIN)


def _learn(
    features: Any, labels: NDArray[np.integer], c: float
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Weights (F, K) and bias (K,) of K labels, or of the classes that there are."""
    models = _regressions(c).fit(features, labels).estimators_
    weights = np.concatenate([model.coef_ for model in models]).T.astype(np.float32)
    bias = np.concatenate([model.intercept_ for model in models])
    if labels.ndim == 1 and len(models) == 1:  # of two classes, the one that is not the other
        return np.concatenate([-weights, weights], axis=1), np.concatenate([-bias, bias])
    return weights, bias


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
