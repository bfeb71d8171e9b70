from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from toprung.data.metrics import METRICS, measure
from toprung.data.tasks.single_label import SingleLabel
from toprung.judge.sentences import say_verdicts
from toprung.judge.verdicts import Contender, Verdicts, judge_test, write_metrics

NAMES = ("a", "b", "c")


def guesser(right: float, labels: np.ndarray, seed: int) -> np.ndarray:
    """Logits that are right on that share of the rows."""
    chance = np.random.default_rng(seed)
    shown = np.where(chance.random(len(labels)) < right, labels, (labels + 1) % 3)
    return np.eye(3)[shown] * 3.0


def judged(*shares: float, name: str = "accuracy", seconds: bool = True) -> Verdicts:
    labels = np.random.default_rng(9).integers(3, size=900)
    whos = ["ensemble", "best_trial", "majority", "tfidf_logreg"]
    contenders = [
        Contender(
            who, guesser(share, labels, i), 3700.0 / (i + 1) ** 4 if seconds else None,
            "t0012" if who == "best_trial" else "",
        )
        for i, (who, share) in enumerate(zip(whos, shares, strict=True))
    ]  # fmt: skip
    return judge_test(
        contenders, labels, metric=METRICS[name], task=SingleLabel(), label_names=NAMES, seed=7
    )


def test_every_contender_is_measured_on_the_same_rows() -> None:
    found = judged(0.9, 0.8, 0.3, 0.7)
    for one in found.contenders:
        assert found.metrics[one.who] == measure(one.logits, found.labels)
        interval = found.intervals[one.who]
        assert interval.low < interval.value < interval.high
    assert set(found.gains) == {"best_trial", "majority", "tfidf_logreg"}
    assert set(found.gains["majority"]) == set(METRICS)


def test_the_gain_is_signed_so_that_above_zero_is_better_for_every_metric() -> None:
    for gain in judged(0.9, 0.7, 0.3, 0.6).gains["best_trial"].values():
        assert gain.low > 0


def test_an_ensemble_does_not_hide_that_its_best_trial_is_below_a_baseline() -> None:
    *_, last = say_verdicts(judged(0.92, 0.6, 0.3, 0.8))
    assert last.startswith("By itself the best single trial (0.")
    assert ") is below the baseline tfidf_logreg (0." in last
    assert not any("By itself" in told for told in say_verdicts(judged(0.92, 0.8, 0.3, 0.6)))


def test_a_better_ensemble_is_said_to_be_better_with_interval_and_cost() -> None:
    value, trial, baseline = say_verdicts(judged(0.92, 0.8, 0.3, 0.6))
    assert value.startswith("On the 900 rows of the test split the ensemble reaches accuracy 0.9")
    assert "The ensemble is better than the best single trial (t0012) by 0.1" in trial
    assert "95 % interval +0." in trial
    assert "The ensemble is better than the baseline tfidf_logreg (accuracy 0." in baseline
    assert baseline.endswith("training took 1 h 2 min against 14.5 s.")


def test_an_ensemble_within_chance_is_said_not_to_be_measurably_better() -> None:
    trial = say_verdicts(judged(0.85, 0.85, 0.3, 0.6))[1]
    assert "is not measurably better than the best single trial (t0012): the gain is" in trial
    assert "and the interval includes 0." in trial


def test_an_ensemble_that_is_worse_is_said_to_be_worse() -> None:
    trial = say_verdicts(judged(0.7, 0.9, 0.3, 0.6))[1]
    assert "The ensemble is worse than the best single trial (t0012) by 0." in trial


def test_a_baseline_that_wins_makes_the_transformer_not_worth_its_cost() -> None:
    baseline = say_verdicts(judged(0.6, 0.6, 0.3, 0.9))[2]
    assert baseline.startswith("The baseline tfidf_logreg is better than the ensemble by 0.")
    assert baseline.endswith(
        "The transformer is not worth its cost here: training took 1 h 2 min against 14.5 s."
    )


def test_a_baseline_that_ties_makes_the_transformer_not_worth_its_cost_either() -> None:
    baseline = say_verdicts(judged(0.8, 0.8, 0.3, 0.8))[2]
    assert "is not measurably better than the baseline tfidf_logreg" in baseline
    assert "The transformer is not worth its cost here" in baseline


def test_a_cost_that_is_unknown_is_not_told() -> None:
    for shares in ((0.9, 0.8, 0.3, 0.6), (0.6, 0.6, 0.3, 0.9)):
        assert "took" not in " ".join(say_verdicts(judged(*shares, seconds=False)))


def test_an_ensemble_that_is_the_best_trial_gains_nothing() -> None:
    labels = np.array([0, 1, 2] * 20)
    same = guesser(0.8, labels, 1)
    both = [Contender("ensemble", same), Contender("best_trial", same)]
    found = judge_test(
        both, labels, metric=METRICS["macro_f1"], task=SingleLabel(), label_names=NAMES, seed=1
    )
    assert say_verdicts(found)[1] == (
        "The ensemble predicts as the best single trial does: the gain is 0."
    )
    assert len(say_verdicts(found)) == 2


def test_a_metric_to_minimise_is_judged_the_right_way_round() -> None:
    trial = say_verdicts(judged(0.95, 0.7, 0.3, 0.6, name="log_loss"))[1]
    assert "The ensemble is better than the best single trial" in trial


@pytest.mark.parametrize("seed", [1, 2])
def test_the_same_seed_gives_the_same_verdicts(seed: int) -> None:
    labels = np.array([0, 1, 2] * 30)
    one = [Contender("ensemble", guesser(0.8, labels, 1))]
    found = [
        judge_test(
            one,
            labels,
            metric=METRICS["accuracy"],
            task=SingleLabel(),
            label_names=NAMES,
            seed=seed,
        )
        for _ in range(2)
    ]
    assert found[0].intervals == found[1].intervals


def test_metrics_csv_has_a_line_for_each_contender_and_a_column_for_each_metric(
    tmp_path: Path,
) -> None:
    found = judged(0.9, 0.8, 0.3, 0.7)
    write_metrics(tmp_path / "metrics.csv", found)
    with (tmp_path / "metrics.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert list(lines[0]) == ["who", *METRICS]
    assert list(lines[0])[:3] == ["who", "accuracy", "macro_f1"]
    assert [line["who"] for line in lines] == ["ensemble", "best_trial", "majority", "tfidf_logreg"]
    assert float(lines[1]["accuracy"]) == round(found.metrics["best_trial"]["accuracy"], 6)


def test_no_answers_are_measured_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    whole = SingleLabel.measure

    def count(self: SingleLabel, *given: object) -> dict[str, float]:
        seen.append(1)
        return whole(self, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(SingleLabel, "measure", count)
    judged(0.9, 0.8, 0.3, 0.6)
    assert len(seen) == 4
