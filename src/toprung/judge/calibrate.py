"""Temperature: how much to sharpen or soften the blended prediction, and what that changes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from toprung.core.later import later
from toprung.data.metrics import softmax
from toprung.data.tasks._base import Task

Floats = NDArray[np.floating]
Labels = NDArray[np.integer]

_SMALLEST = 1e-12
_LOWEST, _HIGHEST = 0.05, 20.0

temperatures = later("toprung.judge.temperatures")


@dataclass(frozen=True)
class Calibration:
    """A temperature, and the expected calibration error before and after it.

    Both errors are those of the rows that the temperature was fitted on.
    """

    temperature: float
    ece_before: float
    ece_after: float


def calibrate(probabilities: Floats, labels: Labels, task: Task) -> Calibration:
    """Fits the temperature that gives the lowest log-loss, with scikit-learn.

    The temperature is kept within 0.05 and 20, so that a handful of rows that are all right, or
    all wrong, do not make certainty absolute or void. Where a row may have any number of labels,
    each pair of row and class is one answer, yes or no. Texts have nothing to calibrate: their
    temperature is 1.

    Args:
        probabilities: (N, C) of the blend on the selection split.
        labels: of that split; not every class needs to occur.
        task: of the search.
    """
    if task.answers == "texts":
        return Calibration(1.0, 0.0, 0.0)
    before, truth = answers_of(probabilities, labels, task)
    scores = np.log(np.maximum(before, _SMALLEST))
    temperature = 1.0
    if len(np.unique(truth)) > 1:
        fitted = temperatures.fit_temperature(scores, truth)
        temperature = float(np.clip(fitted, _LOWEST, _HIGHEST))
    return Calibration(
        temperature,
        expected_calibration_error(before, truth),
        expected_calibration_error(softmax(scores / temperature), truth),
    )


def apply_temperature(probabilities: Floats, temperature: float, task: Task) -> Floats:
    """(N, C) probabilities whose logits are divided by the temperature; texts stay.

    >>> from toprung.data.tasks.single_label import SingleLabel
    >>> apply_temperature(np.array([[0.8, 0.2]]), 1.0, SingleLabel()).round(6).tolist()
    [[0.8, 0.2]]
    >>> bool(apply_temperature(np.array([[0.8, 0.2]]), 2.0, SingleLabel())[0, 0] < 0.8)
    True
    """
    if task.answers == "texts":
        return probabilities
    return task.probabilities(task.logits(probabilities) / temperature)


def expected_calibration_error(probabilities: Floats, labels: Labels, bins: int = 15) -> float:
    """The mean gap between confidence and accuracy over bins of equal width, weighted by rows.

    Source: Guo et al. 2017, "On Calibration of Modern Neural Networks".

    >>> expected_calibration_error(np.array([[0.75, 0.25]] * 4), np.array([0, 0, 0, 1]))
    0.0
    """
    if not len(labels):
        return 0.0
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    places = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    gaps = np.bincount(places, weights=confidence - right, minlength=bins)
    return float(np.abs(gaps).sum() / len(labels))


def answers_of(probabilities: Floats, labels: Labels, task: Task) -> tuple[Floats, Labels]:
    """Rows of one answer each: (M, K) shares of the K possible ones, and (M,) the right one."""
    if not task.many:
        return probabilities, labels
    yes = probabilities.ravel()
    return np.stack([1 - yes, yes], axis=1), labels.ravel()
