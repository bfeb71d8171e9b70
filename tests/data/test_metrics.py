"""Metrics against hand-computed values and properties."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from toprung.data.metrics import METRICS, measure, metric, softmax


def test_every_metric_is_measured_and_only_the_loss_is_minimised() -> None:
    values = measure(np.eye(3), np.arange(3))
    assert set(values) == set(METRICS)
    assert [name for name in METRICS if not metric(name).maximize] == ["log_loss"]


def test_values_agree_with_those_by_hand() -> None:
    logits = np.log([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.6, 0.3, 0.1], [0.3, 0.6, 0.1]])
    values = measure(logits, [0, 1, 1, 1])
    assert values["accuracy"] == 0.75
    assert values["macro_f1"] == pytest.approx((2 / 3 + 0.8 + 0) / 3)
    assert values["weighted_f1"] == pytest.approx(0.25 * 2 / 3 + 0.75 * 0.8)
    assert values["macro_precision"] == pytest.approx((0.5 + 1 + 0) / 3)
    assert values["macro_recall"] == pytest.approx((1 + 2 / 3 + 0) / 3)
    expected = -np.log([0.8, 0.7, 0.3, 0.6]).mean()
    assert values["log_loss"] == pytest.approx(expected)


@given(arrays(np.float32, (5, 4), elements=st.floats(-1e4, 1e4, width=32)))
def test_probabilities_sum_to_one_and_the_loss_is_finite(logits: np.ndarray) -> None:
    assert softmax(logits).sum(axis=1) == pytest.approx(np.ones(5))
    assert math.isfinite(measure(logits, [0, 1, 2, 3, 0])["log_loss"])


def test_logits_that_are_not_finite_give_no_finite_loss() -> None:
    assert math.isnan(measure([[math.nan, 0.0]], [0])["log_loss"])


def test_an_unknown_metric_is_told_with_the_nearest() -> None:
    with pytest.raises(KeyError, match="Did you mean 'macro_f1'"):
        metric("macro-f1")


@pytest.mark.parametrize("labels", [[], [0, 1], [2], [-1]])
def test_labels_that_do_not_fit_are_refused(labels: list[int]) -> None:
    with pytest.raises(ValueError, match=r"not \(N, C\)|outside"):
        measure([[0.0, 1.0]], labels)
