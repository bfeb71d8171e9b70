"""Gradient-boosted trees on flat features of each window's channels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sklearn.ensemble import HistGradientBoostingClassifier

from toprung.core.seeds import derive_seed
from toprung.judge.baselines._features import OnFeatures


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

    def make(self, seed: int) -> Any:
        return HistGradientBoostingClassifier(
            learning_rate=self.learning_rate,
            max_iter=self.iterations,
            early_stopping=False,
            random_state=derive_seed(seed, "features_boosting"),
        )
