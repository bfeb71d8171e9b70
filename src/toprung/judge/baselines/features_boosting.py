"""Gradient-boosted trees on flat features of each window's channels."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier

from toprung.core.seeds import derive_seed
from toprung.data.series import Content
from toprung.judge.baselines._base import Baseline, known_logits
from toprung.judge.baselines._features import flat_features


@dataclass
class FeaturesBoosting(Baseline):
    """Histogram-based gradient boosting (Ke et al. 2017, LightGBM), as scikit-learn has it.

    Attributes:
        learning_rate: of each tree.
        iterations: trees of each class.
    """

    reads: ClassVar[tuple[str, ...]] = ("series",)

    learning_rate: float = 0.1
    iterations: int = 200
    _classes: int = field(default=0, init=False)
    _model: Any = field(default=None, init=False, repr=False)

    def fit(self, rows: Content, labels: NDArray[np.integer], classes: int, seed: int) -> None:
        self._classes = classes
        self._model = HistGradientBoostingClassifier(
            learning_rate=self.learning_rate,
            max_iter=self.iterations,
            early_stopping=False,
            random_state=derive_seed(seed, "features_boosting"),
        )
        self._model.fit(flat_features(rows), labels)

    def logits(self, rows: Content) -> NDArray[np.float64]:
        shares = self._model.predict_proba(flat_features(rows))
        return known_logits(shares, self._model.classes_, self._classes)
