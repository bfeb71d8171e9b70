"""Logistic regression on flat features of each window's channels."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from toprung.data.series import Content
from toprung.judge.baselines._base import Baseline, known_logits
from toprung.judge.baselines._features import flat_features


@dataclass
class FeaturesLogreg(Baseline):
    """L2-regularised multinomial regression on standardised features.

    Attributes:
        c: inverse strength of the regularisation.
    """

    reads: ClassVar[tuple[str, ...]] = ("series",)

    c: float = 1.0
    _classes: int = field(default=0, init=False)
    _model: Any = field(default=None, init=False, repr=False)

    def fit(self, rows: Content, labels: NDArray[np.integer], classes: int, seed: int) -> None:
        self._classes = classes
        self._model = make_pipeline(StandardScaler(), LogisticRegression(C=self.c, max_iter=1000))
        self._model.fit(flat_features(rows), labels)

    def logits(self, rows: Content) -> NDArray[np.float64]:
        shares = self._model.predict_proba(flat_features(rows))
        return known_logits(shares, self._model.classes_, self._classes)
