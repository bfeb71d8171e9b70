from __future__ import annotations

import time

import numpy as np
import pytest
from numpy.typing import NDArray

from toprung.data.metrics import METRICS, measure
from toprung.data.tasks.series import Windows
from toprung.data.tasks.single_label import SingleLabel
from toprung.judge.intervals import Answers, Judge
from toprung.trial.report import Metric


def two_predictors(
    rows: int = 400, classes: int = 5, seed: int = 1
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    chance = np.random.default_rng(seed)
    labels = chance.integers(classes, size=rows)
    signal = np.eye(classes)[labels]
    better = signal * 2 + chance.normal(size=signal.shape)
    worse = signal * 1.2 + chance.normal(size=signal.shape)
    return better, worse, labels


@pytest.fixture(scope="module")
def row_by_row() -> tuple[list[dict[str, float]], list[dict[str, float]]]:
    better, worse, labels = two_predictors()
    chance = np.random.default_rng(5)
    drawn = [chance.integers(len(labels), size=len(labels)) for _ in range(250)]
    return tuple([measure(x[rows], labels[rows]) for rows in drawn] for x in (better, worse))


def judge(labels: NDArray[np.int64], seed: int) -> Judge:
    return Judge(SingleLabel(), labels, seed)


@pytest.mark.parametrize("metric", METRICS.values(), ids=list(METRICS))
def test_the_interval_agrees_with_resampling_row_by_row(metric: Metric, row_by_row: tuple) -> None:
    better, worse, labels = two_predictors()
    alone = [one[metric.name] for one in row_by_row[0]]
    gains = [
        metric.score(first[metric.name]) - metric.score(second[metric.name])
        for first, second in zip(*row_by_row, strict=True)
    ]
    found = judge(labels, 3).interval(metric, Answers(better))
    gain = judge(labels, 3).gain(metric, Answers(better), Answers(worse))
    near = 0.2 * np.ptp(np.percentile(gains, [2.5, 97.5]))
    assert found.value == pytest.approx(measure(better, labels)[metric.name])
    np.testing.assert_allclose(
        [found.low, found.high], np.percentile(alone, [2.5, 97.5]), atol=near
    )
    np.testing.assert_allclose([gain.low, gain.high], np.percentile(gains, [2.5, 97.5]), atol=near)
    assert gain.low > 0


@pytest.mark.parametrize("name", ["accuracy", "log_loss"])
def test_a_predictor_gains_nothing_over_itself(name: str) -> None:
    better, _, labels = two_predictors()
    gain = judge(labels, 1).gain(METRICS[name], Answers(better), Answers(better))
    assert (gain.value, gain.low, gain.high) == (0.0, 0.0, 0.0)


def test_the_same_seed_gives_the_same_interval_and_another_seed_another() -> None:
    better, _, labels = two_predictors()
    first = judge(labels, 1).interval(METRICS["macro_f1"], Answers(better))
    assert first == judge(labels, 1).interval(METRICS["macro_f1"], Answers(better))
    assert first != judge(labels, 2).interval(METRICS["macro_f1"], Answers(better))


def test_one_row_alone_gives_an_interval_without_width() -> None:
    found = judge(np.array([0]), 1).interval(METRICS["accuracy"], Answers(np.array([[1.0, 0.0]])))
    assert (found.value, found.low, found.high) == (1.0, 1.0, 1.0)


def test_a_thousand_resamples_take_a_quarter_of_measuring_each_at_most() -> None:
    chance = np.random.default_rng(0)
    labels = chance.integers(77, size=3000)
    guesses = [chance.normal(size=(3000, 77)) for _ in range(2)]
    start = time.process_time()
    judge(labels, 1).gain(METRICS["macro_f1"], Answers(guesses[0]), Answers(guesses[1]))
    taken = time.process_time() - start
    start = time.process_time()
    for guess in guesses * 5:
        measure(guess, labels)
    assert taken < 200 * (time.process_time() - start) / 4


def test_rows_of_one_class_give_ranks_no_width_instead_of_an_error() -> None:
    task = Windows()
    of_one = Judge(task, np.zeros(20, dtype=np.int64), 1)
    answers = Answers(np.random.default_rng(0).normal(size=(20, 2)))
    for found in (
        of_one.interval(task.metrics["macro_auc"], answers),
        of_one.gain(task.metrics["macro_auc"], answers, answers),
    ):
        assert found.low == found.value == found.high
