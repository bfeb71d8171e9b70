"""Thresholds of classes: the best F1 where there are rows enough, one for all rare ones."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score, precision_recall_curve

from toprung.judge.thresholds import FEWEST_POSITIVES, f1_curve, fit_thresholds


def predictions(rows: int, shares: list[float], seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    chance = np.random.default_rng(seed)
    labels = (chance.random((rows, len(shares))) < shares).astype(np.int64)
    logits = 1.5 * labels - 2.5 + chance.normal(size=labels.shape)
    return 1 / (1 + np.exp(-logits)), labels


@pytest.mark.parametrize("share", [0.1, 0.4])
def test_no_threshold_of_a_single_class_is_better(share: float) -> None:
    probabilities, labels = predictions(800, [share])
    fitted = fit_thresholds(probabilities, labels, ["a"])
    own = f1_score(labels, probabilities >= fitted.values[0])
    for other in np.linspace(0.01, 0.99, 99):
        assert f1_score(labels, probabilities >= other) <= own + 1e-12
    assert own > f1_score(labels, probabilities >= 0.5)


def own_threshold(probabilities: np.ndarray, labels: np.ndarray) -> float:
    return fit_thresholds(probabilities.reshape(-1, 1), labels.reshape(-1, 1), ["a"]).values[0]


def test_fifty_positive_rows_of_its_own_weigh_as_much_as_what_all_classes_say() -> None:
    probabilities, labels = predictions(500, [0.3, 0.3])
    probabilities[:, 1] **= 3
    labels[np.flatnonzero(labels[:, 0])[50:], 0] = 0
    fitted = fit_thresholds(probabilities, labels, ["fifty", "many"])
    assert fitted.positives[0] == 50
    own, shared = (
        own_threshold(probabilities[:, 0], labels[:, 0]),
        own_threshold(probabilities.ravel(), labels.ravel()),
    )
    assert own != shared
    assert fitted.values[0] == pytest.approx((own + shared) / 2)


def test_what_all_share_is_one_half_where_a_frequent_class_alone_wants_another() -> None:
    probabilities, labels = np.full((900, 10), 0.02), np.zeros((900, 10), np.int64)
    labels[:450, 0], probabilities[:450, 0], probabilities[:225, 0] = 1, 0.6, 0.2
    for rare in range(1, 10):
        labels[: 10 - (rare == 9), rare] = 1
        probabilities[:10, rare], probabilities[10:25, rare] = 0.6, 0.3
    names = [str(c) for c in range(10)]
    fitted = fit_thresholds(probabilities, labels, names)
    assert own_threshold(probabilities.ravel(), labels.ravel()) < 0.2
    assert fitted.shared == ("9",)
    assert fitted.values[9] == 0.5
    # Where no class reaches one half, it is no better.
    assert fit_thresholds(probabilities / 3, labels, names).values[9] < 0.1


def test_thresholds_of_rare_classes_carry_over_better_than_their_own_best_ones() -> None:
    gains = []
    for seed in range(10):
        probabilities, labels = predictions(2300, [0.05] * 20, seed)
        here, there = slice(0, 300), slice(300, None)
        names = [str(c) for c in range(20)]
        fitted = fit_thresholds(probabilities[here], labels[here], names).values
        own = [own_threshold(probabilities[here, c], labels[here, c]) for c in range(20)]
        scores = [
            f1_score(labels[there], probabilities[there] >= np.array(values), average="macro")
            for values in (fitted, own)
        ]
        gains.append(scores[0] - scores[1])
    assert min(gains) > 0


def test_the_curve_is_that_of_scikit_learn() -> None:
    probabilities, labels = predictions(300, [0.3])
    probabilities = probabilities.round(2)
    thresholds, f1 = f1_curve(probabilities[:, 0], labels[:, 0])
    precision, recall, _ = precision_recall_curve(labels[:, 0], probabilities[:, 0])
    expected = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    np.testing.assert_allclose(f1, expected[:-1])
    assert (np.diff(thresholds) > 0).all()


def test_a_class_with_too_few_positives_has_no_threshold_of_its_own() -> None:
    probabilities, labels = predictions(400, [0.3, 0.3, 0.3])
    labels[:, 2] = 0
    labels[: FEWEST_POSITIVES - 1, 2] = 1
    labels[:, 1] = 0
    fitted = fit_thresholds(probabilities, labels, ["many", "none", "few"])
    assert fitted.shared == ("none", "few")
    assert fitted.values[1] == fitted.values[2]
    assert fitted.positives[1:] == (0, FEWEST_POSITIVES - 1)
    labels[FEWEST_POSITIVES - 1, 2] = 1
    assert fit_thresholds(probabilities, labels, ["many", "none", "few"]).shared == ("none",)


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_equal_probabilities_are_answered_all_alike(value: float) -> None:
    labels = np.array([[1]] * 30 + [[0]] * 10)
    fitted = fit_thresholds(np.full((40, 1), value), labels, ["a"])
    assert 0 <= fitted.values[0] <= value
