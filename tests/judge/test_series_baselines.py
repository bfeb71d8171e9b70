from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from toprung.data.series import Series
from toprung.judge.baselines import registry
from toprung.judge.baselines._base import Baseline

NAMES = [name for name in registry.names() if "series" in registry.get(name).reads]
Windows = Callable[[int, int], dict[str, Any]]


def rows_of(windows: Windows, rows: int, seed: int) -> tuple[Series, np.ndarray]:
    arrays = windows(rows, seed)
    return Series({name: arrays[name] for name in arrays["modalities"]}), arrays["labels"]


@pytest.mark.parametrize("name", NAMES)
def test_a_baseline_of_series_gives_finite_probabilities_and_the_same_ones_again(
    name: str, windows: Windows
) -> None:
    series, labels = rows_of(windows, 80, 1)
    answers = []
    for _ in range(2):
        baseline: Baseline = registry.get(name)()
        baseline.fit(series, labels, classes=3, seed=1)
        answers.append(baseline.logits(series))
    assert answers[0].shape == (80, 3)
    np.testing.assert_allclose(np.exp(answers[0]).sum(axis=1), 1.0, atol=1e-6)
    np.testing.assert_array_equal(answers[0], answers[1])
    assert (answers[0].argmax(axis=1) != 2).all()


@pytest.mark.parametrize("name", ["features_logreg", "features_boosting"])
def test_flat_features_tell_the_classes_apart_and_texts_are_refused(
    name: str, windows: Windows
) -> None:
    baseline: Baseline = registry.get(name)()
    baseline.fit(*rows_of(windows, 200, 1), classes=2, seed=1)
    series, labels = rows_of(windows, 100, 2)
    assert (baseline.logits(series).argmax(axis=1) == labels).mean() > 0.85
    with pytest.raises(TypeError, match="reads windows, not texts"):
        baseline.logits(["a text"])


@pytest.mark.parametrize("name", NAMES)
def test_a_baseline_of_series_survives_one_class_and_one_step(name: str) -> None:
    baseline: Baseline = registry.get(name)()
    series = Series({"acc": np.ones((3, 1, 1), np.float32)})
    baseline.fit(series, np.zeros(3, np.int64), classes=2, seed=1)
    assert (baseline.logits(series).argmax(axis=1) == 0).all()


def test_the_baseline_of_texts_refuses_windows() -> None:
    with pytest.raises(TypeError, match="reads texts, not windows"):
        registry.get("tfidf_logreg")().logits(Series({"acc": np.ones((3, 1, 1), np.float32)}))
