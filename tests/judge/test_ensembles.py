from __future__ import annotations

import time

import numpy as np
import pytest

from toprung.core.errors import GiveUp
from toprung.data.metrics import METRICS, measure
from toprung.data.tasks.single_label import SingleLabel
from toprung.judge.ensembles import registry
from toprung.judge.ensembles._base import Ensemble, blend
from toprung.judge.ensembles._mixing import mix_in
from toprung.judge.ensembles.best import Best
from toprung.judge.ensembles.greedy import Greedy
from toprung.judge.ensembles.uniform import Uniform
from toprung.trial.report import Metric

ACCURACY = Metric("accuracy")
NAMES = [name for name in registry.names() if registry.get(name).answers == "classes"]


def candidates(
    count: int, rows: int = 300, classes: int = 4, seed: int = 0
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    chance = np.random.default_rng(seed)
    labels = chance.integers(classes, size=rows)
    signal = np.eye(classes)[labels]
    strength = chance.uniform(0.5, 1.5, size=count)
    made = {
        f"t{i:04d}": (signal * strength[i] + chance.normal(size=(rows, classes))).astype(np.float32)
        for i in range(count)
    }
    return made, labels


def selection_score(logits: dict[str, np.ndarray], labels: np.ndarray, metric: Metric) -> float:
    return max(metric.score(measure(one, labels)[metric.name]) for one in logits.values())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("metric", METRICS.values(), ids=list(METRICS))
def test_every_method_gives_positive_weights_that_sum_to_one(name: str, metric: Metric) -> None:
    logits, labels = candidates(7)
    weights = registry.get(name)().weigh(logits, labels, metric, SingleLabel())
    assert sum(weights.values()) == pytest.approx(1.0)
    assert min(weights.values()) > 0
    assert list(weights.values()) == sorted(weights.values(), reverse=True)
    assert set(weights) <= set(logits)


@pytest.mark.parametrize("name", NAMES)
def test_every_method_leaves_out_candidates_with_nan(name: str) -> None:
    logits, labels = candidates(3)
    logits["t0000"] = np.full_like(logits["t0000"], np.nan)
    assert "t0000" not in registry.get(name)().weigh(logits, labels, ACCURACY, SingleLabel())


@pytest.mark.parametrize("name", NAMES)
def test_every_method_gives_up_in_words_when_nothing_is_usable(name: str) -> None:
    method: Ensemble = registry.get(name)()
    with pytest.raises(GiveUp, match="t0001 gave NaN"):
        method.weigh(
            {"t0001": np.full((3, 2), np.inf)}, np.array([0, 1, 0]), ACCURACY, SingleLabel()
        )
    with pytest.raises(GiveUp, match="there is none"):
        method.weigh({}, np.array([0]), ACCURACY, SingleLabel())


@pytest.mark.parametrize("name", NAMES)
def test_every_method_is_the_same_whatever_the_order_of_the_candidates(name: str) -> None:
    logits, labels = candidates(6)
    turned = dict(reversed(logits.items()))
    method: Ensemble = registry.get(name)()
    assert method.weigh(logits, labels, ACCURACY, SingleLabel()) == method.weigh(
        turned, labels, ACCURACY, SingleLabel()
    )


@pytest.mark.parametrize("name", NAMES)
def test_options_below_one_and_unknown_rows_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="candidates: 0 is below 1"):
        registry.get(name)(candidates=0)
    with pytest.raises(ValueError, match="rows: 'most'"):
        registry.get(name)(rows="most")


@pytest.mark.parametrize("metric", METRICS.values(), ids=list(METRICS))
@pytest.mark.parametrize("seed", range(8))
def test_greedy_is_never_below_the_best_single_on_the_selection_split(
    metric: Metric, seed: int
) -> None:
    logits, labels = candidates(6, rows=40, seed=seed)
    blended = blend(
        logits, Greedy(members=3).weigh(logits, labels, metric, SingleLabel()), SingleLabel()
    )
    reached = metric.score(measure(np.log(blended), labels)[metric.name])
    assert reached >= selection_score(logits, labels, metric) - 1e-9


def test_greedy_takes_part_with_no_more_candidates_than_members() -> None:
    logits, labels = candidates(20)
    for members in (1, 2, 5):
        assert (
            len(Greedy(members=members).weigh(logits, labels, ACCURACY, SingleLabel())) <= members
        )


def test_greedy_gains_from_candidates_that_err_apart() -> None:
    logits, labels = candidates(8, rows=2000)
    blended = blend(logits, Greedy().weigh(logits, labels, ACCURACY, SingleLabel()), SingleLabel())
    assert measure(np.log(blended), labels)["accuracy"] > selection_score(logits, labels, ACCURACY)


def test_greedy_follows_the_rounds_of_a_plain_reference() -> None:
    logits, labels = candidates(5, rows=60, seed=4)
    metric = METRICS["log_loss"]
    total, picks, best = 0.0, [], (np.inf, 0)
    shares = {
        name: np.exp(x - np.log(np.exp(x).sum(1, keepdims=True))) for name, x in logits.items()
    }
    for number in range(1, 26):
        losses = {
            name: measure(np.log((total + share) / number), labels)["log_loss"]
            for name, share in shares.items()
        }
        picked = min(losses, key=lambda name: losses[name])
        picks.append(picked)
        total = total + shares[picked]
        best = min(best, (losses[picked], number))
    expected = {name: picks[: best[1]].count(name) / best[1] for name in set(picks[: best[1]])}
    assert Greedy(members=5).weigh(logits, labels, metric, SingleLabel()) == pytest.approx(expected)


def test_equal_candidates_are_told_apart_by_log_loss_and_then_by_name() -> None:
    sure = np.array([[3.0, 0.0], [0.0, 3.0]])
    labels = np.array([0, 1])
    assert Best().weigh({"a": sure / 9, "b": sure}, labels, ACCURACY, SingleLabel()) == {"b": 1.0}
    assert Best().weigh({"b": sure, "a": sure}, labels, ACCURACY, SingleLabel()) == {"a": 1.0}


def test_uniform_takes_the_best_members_with_equal_weights() -> None:
    logits, labels = candidates(6)
    ranked = sorted(logits, key=lambda name: -measure(logits[name], labels)["accuracy"])
    weights = Uniform(members=3).weigh(logits, labels, ACCURACY, SingleLabel())
    assert set(weights.values()) == {1 / 3}
    assert ranked[0] in weights


def test_two_hundred_candidates_take_less_than_measuring_each_of_them_once() -> None:
    logits, labels = candidates(200, rows=24_000, classes=2)
    start = time.process_time()
    Greedy().weigh(logits, labels, METRICS["macro_f1"], SingleLabel())
    taken = time.process_time() - start
    start = time.process_time()
    for name in list(logits)[:50]:
        measure(logits[name], labels)
    assert taken < 4 * (time.process_time() - start)


def mix(trials: dict[str, np.ndarray], plain: dict[str, np.ndarray], labels: np.ndarray) -> dict:
    weights = {name: 1 / len(trials) for name in trials}
    return mix_in(weights, trials, plain, labels, metric=ACCURACY, task=SingleLabel())


def test_a_baseline_that_errs_apart_is_mixed_in_and_the_whole_gains() -> None:
    logits, labels = candidates(4, rows=2000)
    trials = {name: logits[name] for name in ("t0000", "t0001", "t0002")}
    weights = mix(trials, {"words": logits["t0003"]}, labels)
    assert 0 < weights["words"] < 1
    assert sum(weights.values()) == pytest.approx(1)
    assert list(weights.values()) == sorted(weights.values(), reverse=True)
    assert len({round(weights[name], 12) for name in trials}) == 1
    task = SingleLabel()
    before = measure(task.logits(blend(trials, dict.fromkeys(trials, 1 / 3), task)), labels)
    after = measure(task.logits(blend(logits | {"words": logits["t0003"]}, weights, task)), labels)
    assert after["accuracy"] > before["accuracy"]


def test_a_baseline_that_only_harms_is_left_out() -> None:
    logits, labels = candidates(2)
    wrong = -20 * np.eye(4)[labels]
    assert mix(logits, {"majority": wrong}, labels) == {"t0000": 0.5, "t0001": 0.5}


def test_each_baseline_is_given_a_share_of_what_stands_already() -> None:
    logits, labels = candidates(5, rows=2000, seed=3)
    trials = {name: logits[name] for name in ("t0000", "t0001")}
    one = mix(trials, {"a": logits["t0002"]}, labels)
    both = mix(trials, {"a": logits["t0002"], "b": logits["t0003"]}, labels)
    assert both["b"] > 0
    assert both["a"] == pytest.approx(one["a"] * (1 - both["b"]))


def test_a_baseline_as_good_as_the_trials_does_not_replace_them() -> None:
    logits, labels = candidates(1)
    assert mix(logits, {"same": logits["t0000"].copy()}, labels) == {"t0000": 1.0}
