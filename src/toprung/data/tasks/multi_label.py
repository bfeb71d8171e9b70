"""Multi-label classification: any number of C classes for each row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from toprung.core.later import later
from toprung.data.tasks._base import Floats, Label, Labels, Marks, Task
from toprung.trial.report import Metric

_SMALLEST = 1e-12

scores_of = later("sklearn.metrics")


@dataclass(frozen=True)
class MultiLabel(Task):
    """Any number of C classes for each row; labels are (N, C) of 0 and 1.

    A class's probability is the sigmoid of its logit. A class is answered where its probability
    reaches its threshold; while trials are compared that is 0.5.

    >>> MultiLabel().decide(np.array([[0.2, 0.8]]), np.array([0.1, 0.9])).tolist()
    [[True, False]]
    """

    losses = ("bce", "binary_focal", "asymmetric")
    metrics = MappingProxyType(
        {
            name: Metric(name, maximize=name != "log_loss")
            for name in (
                "macro_f1",
                "micro_f1",
                "weighted_f1",
                "macro_precision",
                "macro_recall",
                "subset_accuracy",
                "macro_auc",
                "macro_average_precision",
                "log_loss",
            )
        }
    )
    default_metric = "macro_average_precision"
    splits = ("stopping", "selection", "thresholds")
    label_column = "labels"
    many = True

    def encode(self, rows: Sequence[Label], names: Sequence[str]) -> Labels:
        number = {name: index for index, name in enumerate(names)}
        labels = np.zeros((len(rows), len(names)), dtype=np.int64)
        for row, label in enumerate(rows):
            labels[row, [number[name] for name in label]] = 1
        return labels

    def marks(self, labels: Labels, classes: int) -> Marks:
        return np.asarray(labels, dtype=bool)

    def strata(self, labels: Labels) -> Labels:
        """The rarest class of each row; C for a row without any."""
        counts = labels.sum(axis=0)
        worth = np.where(labels > 0, counts, np.iinfo(np.int64).max)
        rarest = worth.argmin(axis=1)
        return np.asarray(np.where(labels.any(axis=1), rarest, labels.shape[1]))

    def targets(self, labels: Labels) -> NDArray[np.int64] | NDArray[np.float32]:
        return np.array(labels, dtype=np.float32)

    def log_probabilities(self, logits: Floats) -> Floats:
        return np.asarray(-np.logaddexp(0.0, -np.asarray(logits, np.float64)))

    def logits(self, probabilities: Floats) -> Floats:
        shares = np.clip(np.asarray(probabilities, np.float64), _SMALLEST, 1 - _SMALLEST)
        return np.asarray(np.log(shares) - np.log1p(-shares))

    def decide(self, probabilities: Floats, thresholds: Floats | None = None) -> Marks:
        return np.asarray(probabilities >= (0.5 if thresholds is None else thresholds))

    def row_losses(self, logits: Floats, labels: Labels) -> Floats:
        """The mean over the classes of each row."""
        signs = np.where(labels > 0, -1.0, 1.0)
        losses = np.logaddexp(0.0, signs * np.asarray(logits, np.float64))
        return np.asarray(losses.mean(axis=1))

    def measure(
        self, logits: Floats, labels: Labels, thresholds: Floats | None = None
    ) -> dict[str, float]:
        """Every metric of ``metrics``.

        A class that is neither present nor answered has precision, recall and F1 of 0. AUC and
        average precision are means over the classes that have both kinds of rows; where there is
        none they are 0.5 and 0. The log loss is the mean over rows and classes. Logits that are
        not finite give a log loss of NaN, and 0 for what ranks rows.

        >>> found = MultiLabel().measure(np.array([[2.0, -1.0], [-2.0, 1.0]]), np.eye(2, dtype=int))
        >>> found["macro_f1"], found["macro_auc"], round(found["log_loss"], 3)
        (1.0, 1.0, 0.22)
        """
        scores, truth = np.asarray(logits, np.float64), np.asarray(labels, np.int64)
        if scores.ndim != 2 or truth.shape != scores.shape or not len(truth):
            raise ValueError(f"logits {scores.shape} and labels {truth.shape} are not both (N, C)")
        if not np.isin(truth, (0, 1)).all():
            raise ValueError("a label is neither 0 nor 1")
        answered = self.decide(self.probabilities(scores), thresholds)
        found: dict[str, float] = {}
        for average in ("macro", "micro", "weighted"):
            precision, recall, f1, _ = scores_of.precision_recall_fscore_support(
                truth, answered, average=average, zero_division=0
            )
            found[f"{average}_f1"] = float(f1)
            if average == "macro":
                found |= {"macro_precision": float(precision), "macro_recall": float(recall)}
        found["subset_accuracy"] = float((answered == truth).all(axis=1).mean())
        finite = bool(np.isfinite(scores).all())
        ranked = [c for c in range(truth.shape[1]) if finite and 0 < truth[:, c].sum() < len(truth)]
        aucs = [scores_of.roc_auc_score(truth[:, c], scores[:, c]) for c in ranked]
        precisions = [scores_of.average_precision_score(truth[:, c], scores[:, c]) for c in ranked]
        found["macro_auc"] = float(np.mean(aucs)) if aucs else 0.5
        found["macro_average_precision"] = float(np.mean(precisions)) if precisions else 0.0
        found["log_loss"] = float(self.row_losses(scores, truth).mean()) if finite else np.nan
        return {name: found[name] for name in self.metrics}
