"""What a learned baseline is as plain arrays, and its scores of rows: numpy alone.

Copied into exports as _plain.py.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]
Floats = NDArray[np.float64]

SMALLEST = 1e-12
"""The probability of a class that training never showed; its logarithm is finite."""

_LAST = 4
_DEEPEST = 256
_AT_ONCE = 256
_LARGEST, _NUMBERS = 1 << 20, 14
_WORD = re.compile(r"\b\w\w+\b")


class Words:
    """TF-IDF of words and word pairs under one linear regression a class.

    Args:
        learned: ``terms`` (bytes of all F terms, a line each), ``idf`` (F,), ``weights`` (F, C),
            ``bias`` (C,), and ``many``, whether a row may have several labels.

    Raises:
        LookupError, ValueError: arrays are missing, or do not fit together.

    Source: scikit-learn's ``TfidfVectorizer`` with ``sublinear_tf``, and ``OneVsRestClassifier``.
    """

    def __init__(self, learned: Arrays) -> None:
        terms = learned["terms"].tobytes().decode("utf-8").split("\n")
        self._places = {term: place for place, term in enumerate(terms)}
        self._idf, self._weights = learned["idf"], learned["weights"]
        self._bias, self._many = learned["bias"], bool(learned["many"])
        self.outputs = len(self._bias)
        _check(self._idf.shape == (len(terms),))
        _check(self._weights.shape == (len(terms), self.outputs))

    def logits(self, texts: Sequence[str]) -> Floats:
        """Scores of N texts, (N, C)."""
        found = np.tile(self._bias.astype(np.float64), (len(texts), 1))
        for row, text in enumerate(texts):
            words = _WORD.findall(text.lower())
            terms = [*words, *map(" ".join, pairwise(words))]
            counts = Counter(self._places[term] for term in terms if term in self._places)
            if counts:
                places = np.fromiter(counts.keys(), np.int64)
                times = np.fromiter(counts.values(), np.float64)
                values = (1 + np.log(times)) * self._idf[places]
                found[row] += values / np.sqrt(values @ values) @ self._weights[places]
        if self._many:
            return found
        shares = 1 / (1 + np.exp(-np.clip(found, -700, 700)))
        shares /= np.maximum(shares.sum(axis=1, keepdims=True), SMALLEST)
        return np.asarray(np.log(np.maximum(shares, SMALLEST)))


class Windows:
    """A linear regression or boosted trees on flat features of windows.

    Args:
        learned: ``modalities`` (bytes of their names, a line each), ``shapes`` (M, 2) with the
            steps and channels of each, ``classes`` (K,) that training showed, of ``outputs``, and
            either ``mean``, ``scale``, ``weights`` (F, K) and ``bias`` (K,), or ``start`` (K,) and
            the nodes of all trees: ``feature``, ``threshold``, ``left``, ``right``,
            ``missing_left``, ``leaf``, ``value`` and the ``root`` of each tree. Two classes may
            have the one score of the second.

    Raises:
        LookupError, ValueError: arrays are missing, or do not fit together.
    """

    def __init__(self, learned: Arrays) -> None:
        self._learned = learned
        names = learned["modalities"].tobytes().decode("utf-8").split("\n")
        self.shapes = {
            name: (int(steps), int(channels))
            for name, (steps, channels) in zip(names, learned["shapes"], strict=True)
        }
        self.outputs = int(learned["outputs"])
        _check(all(0 < size <= _LARGEST for shape in self.shapes.values() for size in shape))
        _check(_lie_below(learned["classes"], self.outputs) and len(learned["classes"]) > 0)
        if len(learned["classes"]) > 1:
            width = sum(_NUMBERS * (channels + 1) for _, channels in self.shapes.values())
            self._check_trees(width) if "root" in learned else self._check_regression(width)

    def _check_trees(self, width: int) -> None:
        tree = self._learned
        nodes, roots = len(tree["leaf"]), tree["root"]
        names = ("feature", "threshold", "left", "right", "missing_left", "value")
        _check(all(tree[name].shape == (nodes,) for name in names))
        _check(tree["leaf"].dtype == bool and self._fits(len(tree["start"])))
        _check(all(_lie_below(tree[name], nodes) for name in ("left", "right", "root")))
        # A child lies behind its parent, so that no way runs in a circle.
        onward = np.minimum(tree["left"], tree["right"]) > np.arange(nodes)
        _check(bool((tree["leaf"] | onward).all()))
        _check(_lie_below(tree["feature"], width) and len(roots) % len(tree["start"]) == 0)

    def _check_regression(self, width: int) -> None:
        one = self._learned
        _check(one["mean"].shape == one["scale"].shape == (width,) and self._fits(len(one["bias"])))
        _check(one["weights"].shape == (width, len(one["bias"])))

    def _fits(self, scores: int) -> bool:
        classes = len(self._learned["classes"])
        return scores == classes or (scores == 1 and classes == 2)

    def logits(self, arrays: Arrays) -> Floats:
        """Scores of N windows, (N, C); a modality that is missing is NaN, or not there."""
        rows = len(next(iter(arrays.values())))
        there = {
            name: arrays.get(name, np.full((rows, *shape), np.nan, np.float32))
            for name, shape in self.shapes.items()
        }
        classes = self._learned["classes"]
        found = np.full((rows, self.outputs), SMALLEST)
        if len(classes) == 1:
            found[:, classes] = 1.0
            return np.asarray(np.log(found))
        features = flat_features(there)
        scores = self._walk(features) if "root" in self._learned else self._regress(features)
        if scores.shape[1] == 1:
            scores = np.concatenate([np.zeros_like(scores), scores], axis=1)
        shares = np.exp(scores - scores.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        found[:, classes] = np.maximum(shares, SMALLEST)
        return np.asarray(np.log(found))

    def _regress(self, features: Floats) -> Floats:
        """What is missing counts as the mean of training."""
        one = self._learned
        scaled = np.nan_to_num((features - one["mean"]) / one["scale"])
        return np.asarray(scaled @ one["weights"] + one["bias"])

    def _walk(self, features: Floats) -> Floats:
        found = np.tile(self._learned["start"].astype(np.float64), (len(features), 1))
        for start in range(0, len(features), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            found[part] += self._sum_of_leaves(features[part])
        return found

    def _sum_of_leaves(self, features: Floats) -> Floats:
        tree, outputs = self._learned, len(self._learned["start"])
        rows = np.arange(len(features))[:, None]
        nodes = np.tile(tree["root"], (len(features), 1))
        for _ in range(_DEEPEST):
            if tree["leaf"][nodes].all():
                values = tree["value"][nodes].reshape(len(features), -1, outputs)
                return np.asarray(values.sum(axis=1))
            values = features[rows, tree["feature"][nodes]]
            left = np.where(
                np.isnan(values), tree["missing_left"][nodes], values <= tree["threshold"][nodes]
            )
            onward = np.where(left, tree["left"][nodes], tree["right"][nodes])
            nodes = np.where(tree["leaf"][nodes], nodes, onward)
        raise ValueError(f"a tree is more than {_DEEPEST} nodes deep")


def flat_features(arrays: Arrays) -> Floats:
    """(N, F): 14 numbers of each channel, and of each modality's length (Euclidean norm).

    Mean, deviation, extremes, quartiles, mean and largest step, slope; of the last quarter mean,
    deviation and extremes; and the last value. NaN where a modality is missing.
    """
    found = []
    for array in arrays.values():
        norm = np.sqrt(np.square(array.astype(np.float64)).sum(axis=2, keepdims=True))
        found.append(_of_channels(np.concatenate([array, norm], axis=2)))
    return np.concatenate(found, axis=1)


def _of_channels(array: NDArray[Any]) -> Floats:
    values = np.asarray(array, np.float64)
    steps = values.shape[1]
    last = values[:, -max(1, steps // _LAST) :]
    change = np.abs(np.diff(values, axis=1)) if steps > 1 else np.zeros_like(values)
    time = np.linspace(-1.0, 1.0, steps)
    quartiles = np.quantile(values, [0.25, 0.5, 0.75], axis=1)
    parts = [
        values.mean(axis=1),
        values.std(axis=1),
        values.min(axis=1),
        values.max(axis=1),
        *quartiles,
        change.mean(axis=1),
        change.max(axis=1),
        np.einsum("ntc,t->nc", values, time) / max(1e-12, float(time @ time)),
        last.mean(axis=1),
        last.std(axis=1),
        last.max(axis=1) - last.min(axis=1),
        values[:, -1],
    ]
    return np.concatenate(parts, axis=1)


def _lie_below(numbers: NDArray[Any], limit: int) -> bool:
    whole = numbers.dtype.kind in "iu"
    return whole and bool(((numbers >= 0) & (numbers < limit)).all())


def _check(fits: bool) -> None:
    if not fits:
        raise ValueError("its arrays do not fit together")


def as_bytes(lines: Sequence[str]) -> NDArray[np.uint8]:
    """Texts without line ends, as bytes of UTF-8, a line each."""
    return np.frombuffer("\n".join(lines).encode("utf-8"), np.uint8)
