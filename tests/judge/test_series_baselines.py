from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from toprung.core.seeds import derive_seed
from toprung.data.series import Series
from toprung.judge.baselines import registry
from toprung.judge.baselines._base import Baseline
from toprung.judge.baselines._plain import Windows as Scorer
from toprung.judge.baselines._plain import flat_features

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


@pytest.mark.parametrize("classes", [2, 3])
def test_trees_and_regressions_score_as_those_of_scikit_learn_do(
    classes: int, windows: Windows
) -> None:
    series, labels = rows_of(windows, 200, 1)
    labels = labels + (np.arange(200) % 5 == 0) * (classes - 2)
    features = flat_features(series.arrays)
    models = {
        "features_boosting": HistGradientBoostingClassifier(
            max_iter=10, early_stopping=False, random_state=derive_seed(1, "features_boosting")
        ),
        "features_logreg": make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
    }
    new, _ = rows_of(windows, 50, 2)
    first, *others = new.arrays
    missing = np.concatenate([np.full_like(new.arrays[first][:25], np.nan), new.arrays[first][25:]])
    new = Series({first: missing, **{name: new.arrays[name] for name in others}})
    known = flat_features(new.arrays)
    gone = np.zeros(known.shape, bool)
    gone[:25, : flat_features({first: missing}).shape[1]] = True
    # Trees know a way for what is missing; to a regression it is at its mean.
    expected = {
        "features_boosting": np.where(gone, np.nan, known),
        "features_logreg": np.where(gone, features.mean(axis=0), known),
    }
    for name, model in models.items():
        options = {"iterations": 10} if name == "features_boosting" else {}
        baseline = registry.get(name)(**options)
        baseline.fit(series, labels, classes=classes, seed=1)
        model.fit(features, labels)
        found = np.exp(baseline.logits(new))
        np.testing.assert_allclose(found, model.predict_proba(expected[name]), atol=1e-9)


@pytest.mark.parametrize("name", ["features_logreg", "features_boosting"])
def test_a_modality_may_be_missing_or_stand_elsewhere(name: str, windows: Windows) -> None:
    baseline = registry.get(name)()
    series, labels = rows_of(windows, 100, 1)
    baseline.fit(series, labels, classes=2, seed=1)
    turned = Series(dict(reversed(series.arrays.items())))
    np.testing.assert_array_equal(baseline.logits(turned), baseline.logits(series))
    first, *others = series.arrays
    gone = Series({other: series.arrays[other] for other in others})
    nothing = np.full_like(series.arrays[first], np.nan)
    blank = Series({**series.arrays, first: nothing})
    assert np.isfinite(baseline.logits(gone)).all()
    np.testing.assert_array_equal(baseline.logits(gone), baseline.logits(blank))


@pytest.mark.parametrize("name", NAMES)
def test_a_baseline_of_series_survives_one_class_and_one_step(name: str) -> None:
    baseline: Baseline = registry.get(name)()
    series = Series({"acc": np.ones((3, 1, 1), np.float32)})
    baseline.fit(series, np.zeros(3, np.int64), classes=2, seed=1)
    assert (baseline.logits(series).argmax(axis=1) == 0).all()


def test_the_baseline_of_texts_refuses_windows() -> None:
    with pytest.raises(TypeError, match="reads texts, not windows"):
        registry.get("tfidf_logreg")().logits(Series({"acc": np.ones((3, 1, 1), np.float32)}))


@pytest.mark.parametrize(
    ("name", "harm"),
    [
        ("features_boosting", {"left": 10**9}),
        ("features_boosting", {"right": 10**9}),
        ("features_boosting", {"feature": 10**6}),
        ("features_boosting", {"feature": -1}),
        ("features_boosting", {"root": np.array([-1])}),
        ("features_boosting", {"start": np.zeros(5)}),
        ("features_boosting", {"leaf": 1.0}),
        ("features_boosting", {"leaf": False, "left": 0}),
        ("features_boosting", {"value": np.zeros(2)}),
        ("features_logreg", {"weights": np.zeros((3, 1))}),
        ("features_logreg", {"mean": np.zeros(3)}),
        ("features_logreg", {"classes": np.array([0, 7])}),
        ("features_logreg", {"shapes": np.array([[12, -2], [6, 1]])}),
        ("features_logreg", {"shapes": np.array([[12, 2]])}),
    ],
)
def test_arrays_that_do_not_fit_together_are_refused(
    name: str, harm: dict[str, np.ndarray | float], windows: Windows
) -> None:
    """A number stands for an array of the right length, all of whose values it is."""
    options = {"iterations": 2} if name == "features_boosting" else {}
    baseline = registry.get(name)(**options)
    baseline.fit(*rows_of(windows, 60, 1), classes=2, seed=1)
    Scorer(baseline.learned)
    broken = {
        key: value if isinstance(value, np.ndarray) else np.full(baseline.learned[key].shape, value)
        for key, value in harm.items()
    }
    with pytest.raises(ValueError):  # noqa: PT011 - also of zip, whose words are not ours
        Scorer(baseline.learned | broken)
