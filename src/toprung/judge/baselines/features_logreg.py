"""Logistic regression on flat features of each window's channels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from toprung.judge.baselines._features import OnFeatures


@dataclass
class FeaturesLogreg(OnFeatures):
    """L2-regularised multinomial regression on standardised features.

    Attributes:
        c: inverse strength of the regularisation.
    """

    c: float = 1.0

    def learn(
        self, features: NDArray[np.float64], labels: NDArray[np.integer], seed: int
    ) -> dict[str, NDArray[Any]]:
        scaler = StandardScaler().fit(features)
        model = LogisticRegression(C=self.c, max_iter=1000)
        model.fit(scaler.transform(features), labels)
        return {
            "mean": scaler.mean_,
            "scale": scaler.scale_,
            "weights": model.coef_.T,
            "bias": model.intercept_,
        }
