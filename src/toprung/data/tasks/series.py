"""Multimodal series: one of C classes for each window of several modalities."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from toprung.core.later import later
from toprung.data.metrics import METRICS
from toprung.data.tasks._base import Floats, Labels
from toprung.data.tasks.single_label import SingleLabel
from toprung.trial.report import Metric

scores_of = later("sklearn.metrics")


@dataclass(frozen=True)
class Windows(SingleLabel):
    """One of C classes for each window; labels are (N,) indices.

    The positive class is the last one; ``data.positive`` of a spec puts another one there.

    >>> logits = np.array([[2.0, 0.0], [0.0, 2.0], [0.0, 1.0]])
    >>> found = Windows().measure(logits, np.array([0, 1, 0]))
    >>> round(found["positive_f1"], 3), found["macro_auc"]
    (0.667, 1.0)
    """

    metrics = MappingProxyType(
        {"positive_f1": Metric("positive_f1"), "macro_auc": Metric("macro_auc"), **METRICS}
    )
    label_column = "labels"
    reads = "series"

    def measure(
        self, logits: Floats, labels: Labels, thresholds: Floats | None = None
    ) -> dict[str, float]:
        """Every metric of ``metrics``.

        ``positive_f1`` is the F1 of the last class. ``macro_auc`` is the mean over the classes of
        the area under the ROC curve of a class against the rest, ranked by its probability, of
        those that have both kinds of rows; 0.5 where none has, or where a logit is not finite.
        With two classes that is the AUC of the positive one.
        """
        found = super().measure(logits, labels, thresholds)
        scores = np.asarray(logits, np.float64)
        last = scores.shape[1] - 1
        answered = scores.argmax(axis=1) == last
        found["positive_f1"] = float(scores_of.f1_score(labels == last, answered, zero_division=0))
        aucs: list[float] = []
        if np.isfinite(scores).all():
            ranked = self.log_probabilities(scores)
            marks = self.marks(labels, scores.shape[1])
            known = [c for c in range(last + 1) if 0 < marks[:, c].sum() < len(marks)]
            aucs = [float(scores_of.roc_auc_score(marks[:, c], ranked[:, c])) for c in known]
        found["macro_auc"] = float(np.mean(aucs)) if aucs else 0.5
        return {name: found[name] for name in self.metrics}
