from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from toprung.judge.leaderboard import (
    best_trial,
    rank_trials,
    to_frame,
    to_records,
    write_leaderboard,
)
from toprung.trial.config import TrialConfig
from toprung.trial.decision import Failure
from toprung.trial.history import BaselineRecord, History, TrialRecord
from toprung.trial.report import Metric, Report

ACCURACY = Metric("accuracy")


def record(trial: str, *scores: float, **fields: object) -> TrialRecord:
    values = fields.pop("values", {"pooling": "mean", "learning_rate": 0.001})
    reports = [Report(trial, 8 * i, {"accuracy": s}, 2.5 * i) for i, s in enumerate(scores, 1)]
    resource = reports[-1].resource if reports else 0
    config = TrialConfig(trial, values, 1)  # type: ignore[arg-type]
    made = TrialRecord(config, "random", reports=reports, resource=resource)
    made.state = "stopped"
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def history(*records: TrialRecord) -> History:
    made = History({one.config.trial: one for one in records})
    made.baselines["majority"] = BaselineRecord("majority", {"accuracy": 0.3}, 0.1)
    made.baselines["tfidf_logreg"] = BaselineRecord("tfidf_logreg", {"accuracy": 0.75}, 4.0)
    return made


def test_trials_and_baselines_are_ranked_by_the_best_report() -> None:
    rows = rank_trials(
        history(record("t0001", 0.5, 0.6), record("t0002", 0.9, 0.8), record("t0003", 0.2)),
        ACCURACY,
    )
    assert [row.trial for row in rows] == ["t0002", "tfidf_logreg", "t0001", "majority", "t0003"]
    assert [row.rank for row in rows] == [1, 2, 3, 4, 5]
    assert rows[0].score == 0.9
    assert rows[0].resource == 16


def test_a_metric_to_minimise_ranks_the_smallest_first_and_shows_its_own_value() -> None:
    rows = rank_trials(
        history(record("t0001", 0.5), record("t0002", 0.2, 0.4)), Metric("accuracy", False)
    )
    assert [(row.trial, row.score) for row in rows[:2]] == [("t0002", 0.2), ("majority", 0.3)]


def test_trials_without_a_score_are_last_with_class_and_reason() -> None:
    failed = record("t0001", state="failed", failures=[Failure("user_error", "KeyError: 'x'")])
    diverged = record("t0002", state="diverged", failures=[Failure("diverged", "loss is nan at 8")])
    rows = rank_trials(history(failed, diverged, record("t0003", 0.1)), ACCURACY)
    assert [row.trial for row in rows[-3:]] == ["t0003", "t0001", "t0002"]
    assert rows[-2].score is None
    assert rows[-2].reason == "user_error: KeyError: 'x'"
    assert rows[-1].state == "diverged"


def test_a_diverged_trial_is_never_the_best_however_good_it_was_before() -> None:
    diverged = record("t0001", 0.99, state="diverged", failures=[Failure("diverged", "nan")])
    rows = rank_trials(history(diverged, record("t0002", 0.4)), ACCURACY)
    best = best_trial(rows)
    assert best is not None
    assert best.trial == "t0002"
    assert rows[-1].trial == "t0001"


def test_equal_scores_fall_to_the_smaller_resource_and_then_to_the_name() -> None:
    rows = rank_trials(
        History(
            {
                t: record(t, *s)
                for t, s in {"t0003": [0.5, 0.5], "t0002": [0.5], "t0001": [0.5]}.items()
            }
        ),
        ACCURACY,
    )
    assert [row.trial for row in rows] == ["t0001", "t0002", "t0003"]


def test_the_csv_has_the_promised_columns_and_empty_cells_where_nothing_applies(
    tmp_path: Path,
) -> None:
    lora = {"adapter": "lora", "adapter.lora.rank": 8, "rate": 1e-5, "flag": True}
    full = {"adapter": "full", "rate": 1e-4, "flag": False}
    rows = rank_trials(
        history(record("t0001", 0.5, values=lora), record("t0002", values=full, state="failed")),
        ACCURACY,
    )
    write_leaderboard(tmp_path / "leaderboard.csv", rows)
    with (tmp_path / "leaderboard.csv").open(newline="") as file:
        read = list(csv.DictReader(file))
    assert list(read[0]) == [
        "rank", "trial", "score", "resource", "seconds", "state", "reason", "diagnoses",
        "adapter", "adapter.lora.rank", "rate", "flag",
    ]  # fmt: skip
    by_name = {line["trial"]: line for line in read}
    assert by_name["t0001"]["adapter.lora.rank"] == "8"
    assert by_name["t0001"]["rate"] == "1e-05"
    assert by_name["t0001"]["flag"] == "true"
    assert by_name["t0002"]["adapter.lora.rank"] == ""
    assert by_name["t0002"]["score"] == ""
    assert by_name["majority"]["adapter"] == ""
    assert by_name["tfidf_logreg"]["state"] == "baseline"
    assert by_name["tfidf_logreg"]["seconds"] == "4.0"


@pytest.mark.parametrize("text", ["=1+1", "@x", "-cmd", "+x"])
def test_text_that_a_spreadsheet_would_run_gets_an_apostrophe(tmp_path: Path, text: str) -> None:
    one = record(
        "t0001", -0.5, reason=f"{text}\nnext\x1b[2J", values={"backbone": text, "rate": -1.5}
    )
    write_leaderboard(tmp_path / "board.csv", rank_trials(History({"t0001": one}), ACCURACY))
    with (tmp_path / "board.csv").open(newline="") as file:
        read = next(csv.DictReader(file))
    assert read["backbone"] == f"'{text}"
    assert read["reason"] == f"'{text} next [2J"
    assert read["score"] == "-0.5"
    assert read["rate"] == "-1.5"


def test_records_are_json_and_the_frame_has_the_columns_of_the_csv() -> None:
    rows = rank_trials(history(record("t0001", 0.5), record("t0002", state="failed")), ACCURACY)
    told = json.loads(json.dumps(to_records(rows)))
    assert told[1]["config"] == {"pooling": "mean", "learning_rate": 0.001}
    assert told[-1]["score"] is None
    frame = to_frame(rows)
    assert list(frame.columns)[-2:] == ["pooling", "learning_rate"]
    assert frame.loc[frame["trial"] == "t0001", "score"].item() == 0.5


def test_a_search_without_trials_has_an_empty_leaderboard(tmp_path: Path) -> None:
    assert best_trial(rank_trials(History(), ACCURACY)) is None
    write_leaderboard(tmp_path / "board.csv", [])
    assert (
        tmp_path / "board.csv"
    ).read_text() == "rank,trial,score,resource,seconds,state,reason,diagnoses\n"
