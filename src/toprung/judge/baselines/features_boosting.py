"""Gradient-boosted trees on flat features of each window's channels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier

from toprung.core.seeds import derive_seed
from toprung.judge.baselines._features import OnFeatures

_NODES = {
    "feature": "feature_idx",
    "threshold": "num_threshold",
    "left": "left",
    "right": "right",
    "missing_left": "missing_go_to_left",
    "leaf": "is_leaf",
    "value": "value",
}


@dataclass
class FeaturesBoosting(OnFeatures):
    """Histogram-based gradient boosting, as scikit-learn has it.

    Attributes:
        learning_rate: of each tree.
        iterations: trees of each class.

    Source: Ke et al. 2017, "LightGBM: A Highly Efficient Gradient Boosting Decision Tree".
    """

    learning_rate: float = 0.1
    iterations: int = 200

    def learn(
        self, features: NDArray[np.float64], labels: NDArray[np.integer], seed: int
    ) -> dict[str, NDArray[Any]]:
        model: Any = HistGradientBoostingClassifier(
            learning_rate=self.learning_rate,
            max_iter=self.iterations,
            early_stopping=False,
            random_state=derive_seed(seed, "features_boosting"),
        ).fit(features, labels)
        return _as_arrays(model)


def _as_arrays(model: Any) -> dict[str, NDArray[Any]]:
    """All trees' nodes one after the other, those of an iteration in the order of its classes."""
    # scikit-learn has no public way to a tree's nodes; a test compares the scores with its own.
    trees = [tree.nodes for iteration in model._predictors for tree in iteration]
    roots = np.cumsum([0, *map(len, trees)])[:-1]
    found = {name: np.concatenate([tree[key] for tree in trees]) for name, key in _NODES.items()}
    shift = np.repeat(roots, list(map(len, trees)))
    for side in ("left", "right"):
        found[side] = found[side].astype(np.int64) + shift
    kept = ("missing_left", "leaf")
    found |= {name: found[name].astype(bool) for name in kept}
    return {**found, "root": roots, "start": np.ravel(model._baseline_prediction)}
