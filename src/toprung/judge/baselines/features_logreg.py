"""Logistic regression on flat features of each window's channels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from toprung.judge.baselines._features import OnFeatures


@dataclass
class FeaturesLogreg(OnFeatures):
    """L2-regularised multinomial regression on standardised features.

    Attributes:
        c: inverse strength of the regularisation.
    """

    c: float = 1.0

    def make(self, seed: int) -> Any:
        return make_pipeline(StandardScaler(), LogisticRegression(C=self.c, max_iter=1000))
