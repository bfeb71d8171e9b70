from __future__ import annotations

import numpy as np

from toprung.data.tasks.single_label import SingleLabel
from toprung.judge.finalists import choose_finalists, member_report
from toprung.judge.leaderboard import Row
from toprung.trial.config import TrialConfig
from toprung.trial.record import TrialRecord
from toprung.trial.report import Metric, Report


def row(rank: int, score: float, state: str = "stopped", **values: str) -> Row:
    return Row(rank, f"t{rank:04d}", score, 8, 1.0, state, "", values)  # type: ignore[arg-type]


def short_of_a_floor(rank: int, score: float, missing: float) -> Row:
    return Row(
        rank, f"t{rank:04d}", score, 8, 1.0, "completed", "", {"a": str(rank)}, missing=missing
    )


def predictions(*classes: int) -> np.ndarray:
    return np.eye(3)[list(classes)]


def test_the_best_trial_is_the_first_finalist() -> None:
    rows = [row(1, 0.9, adapter="lora"), row(2, 0.8, adapter="full")]
    assert [f.trial for f in choose_finalists(rows, {}, 2, task=SingleLabel())] == [
        "t0001",
        "t0002",
    ]


def test_a_twin_of_the_best_gives_way_to_one_that_errs_elsewhere() -> None:
    rows = [row(1, 0.90), row(2, 0.89), row(3, 0.88), row(4, 0.6)]
    logits = {
        "t0001": predictions(0, 1, 2, 0),
        "t0002": predictions(0, 1, 2, 0),
        "t0003": predictions(0, 1, 0, 2),
        "t0004": predictions(1, 1, 1, 1),
    }
    assert [f.trial for f in choose_finalists(rows, logits, 2, task=SingleLabel())] == [
        "t0001",
        "t0003",
    ]
    assert [f.trial for f in choose_finalists(rows, logits, 2, task=SingleLabel(), penalty=0)] == [
        "t0001",
        "t0002",
    ]


def test_without_predictions_the_family_of_configurations_counts() -> None:
    rows = [
        row(1, 0.90, loss="focal"),
        row(2, 0.899, loss="focal"),
        row(3, 0.89, loss="x"),
        row(4, 0.5),
    ]
    assert choose_finalists(rows, {}, 2, task=SingleLabel())[1].trial == "t0003"


def test_baselines_and_diverged_trials_are_never_finalists() -> None:
    rows = [row(1, 0.99, "baseline"), row(2, 0.9, "diverged"), row(3, 0.8, "failed"), row(4, 0.7)]
    assert [f.trial for f in choose_finalists(rows, {}, 5, task=SingleLabel())] == ["t0004"]
    assert choose_finalists(rows[:3], {}, 5, task=SingleLabel()) == []


def test_a_metric_to_minimise_is_chosen_from_the_top_of_the_board_as_well() -> None:
    rows = [row(1, 0.2, a="x"), row(2, 0.3, a="y"), row(3, 0.9, a="z")]
    assert [f.trial for f in choose_finalists(rows, {}, 2, task=SingleLabel())] == [
        "t0001",
        "t0002",
    ]


def test_each_choice_says_why() -> None:
    rows = [row(1, 0.9, a="x"), row(2, 0.8, a="y")]
    assert choose_finalists(rows, {}, 2, task=SingleLabel())[1].reason == (
        "rank 2: worth 0.00, similarity to those before 0.00"
    )


def test_a_further_seed_of_a_configuration_is_no_configuration_of_its_own() -> None:
    again = Row(1, "t0001-s1", 0.95, 8, 1.0, "completed", "")
    assert [f.trial for f in choose_finalists([again, row(2, 0.9)], {}, 5, task=SingleLabel())] == [
        "t0002"
    ]


def test_those_that_miss_the_floor_come_last_whatever_their_scores() -> None:
    rows = [
        short_of_a_floor(*one)
        for one in [(1, 0.80, 0.0), (2, 0.79, 0.0), (3, 0.86, 0.02), (4, 0.99, 0.10)]
    ]
    chosen = choose_finalists(rows, {}, 4, task=SingleLabel())
    assert [one.trial for one in chosen] == ["t0001", "t0002", "t0003", "t0004"]
    chosen = choose_finalists(rows[2:], {}, 2, task=SingleLabel())
    assert [one.trial for one in chosen] == ["t0003", "t0004"]


def test_unlikeness_does_not_lift_a_trial_over_the_floor() -> None:
    rows = [short_of_a_floor(1, 0.9, 0.0), short_of_a_floor(2, 0.7, 0.0)]
    rows.append(short_of_a_floor(3, 0.95, 0.01))
    same = predictions(0, 1, 2, 0)
    logits = {"t0001": same, "t0002": same, "t0003": predictions(1, 2, 0, 1)}
    chosen = choose_finalists(rows, logits, 2, task=SingleLabel())
    assert [one.trial for one in chosen] == ["t0001", "t0002"]


def test_the_weights_of_a_trial_are_chosen_by_the_floor_of_its_own_phase() -> None:
    record = TrialRecord(TrialConfig("t0001", {}, 0), "random", phase=1, resource=9)
    for resource, accuracy, recall in ((3, 0.8, 0.9), (9, 0.9, 0.5)):
        metrics = {"accuracy": accuracy, "recall.a": recall}
        record.reports.append(Report("t0001", resource, metrics, 1.0, f"checkpoints/{resource}"))
    later = Metric("accuracy", floor=0.8)
    best = member_report(record, later)
    assert best is not None
    assert best.resource == 9
    record.floor = 0.7
    best = member_report(record, later)
    assert best is not None
    assert best.resource == 3
