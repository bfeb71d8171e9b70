"""What a report recommends: each sentence where its cause is there, and not where it is not."""

from __future__ import annotations

import numpy as np
import pytest

from toprung.data.metrics import METRICS
from toprung.data.tasks.single_label import SingleLabel
from toprung.judge.diagnosing import Complaint, every_diagnosis, gather
from toprung.judge.mistakes import find_mistakes
from toprung.judge.recommendations import recommend
from toprung.judge.verdicts import Contender, Verdicts, judge_test
from toprung.trial.config import TrialConfig
from toprung.trial.finding import Finding
from toprung.trial.history import History
from toprung.trial.record import TrialRecord
from toprung.trial.space import Choice, Float, Int, Option, Space

SPACE = Space(
    {
        "adapter": Choice((Option("full"), Option("lora", Space({"rank": Int(4, 64, log=True)})))),
        "learning_rate": Float(1e-5, 1e-2, log=True),
        "smoothing": Float(0.0, 0.2),
        "fixed": Float(0.5, 0.5),
    }
)
INNER = {"adapter": "full", "learning_rate": 3e-4, "smoothing": 0.1, "fixed": 0.5}


@pytest.mark.parametrize(
    ("chosen", "told"),
    [
        ({}, None),
        ({"learning_rate": 9.5e-3}, "learning_rate: the best trial's 0.0095 is at the upper edge"),
        ({"learning_rate": 1.1e-5}, "learning_rate: the best trial's 1.1e-05 is at the lower edge"),
        (
            {"smoothing": 0.199},
            "smoothing: the best trial's 0.199 is at the upper edge of 0 to 0.2",
        ),
        (
            {"adapter": "lora", "adapter.lora.rank": 4},
            "adapter.lora.rank: the best trial's 4 is at",
        ),
        ({"adapter": "lora", "adapter.lora.rank": 16}, None),
    ],
)
def test_an_edge_of_the_space_is_to_be_moved_where_the_best_trial_lies_on_it(
    chosen: dict[str, float | str], told: str | None
) -> None:
    found = recommend([], best=INNER | chosen, space=SPACE)
    assert [one.startswith(f"Widen {told}") for one in found] == ([] if told is None else [True])


def test_below_zero_there_is_nothing_to_try() -> None:
    assert recommend([], best=INNER | {"smoothing": 0.0}, space=SPACE) == []


def test_a_symptom_is_told_with_its_trials_and_one_of_the_data_without() -> None:
    cut = Finding("cut", "truncated inputs", "half the texts", "Raise max_length.", 8)
    few = Finding("few", "too little data", "9 rows", "Find more rows.", 8, of_data=True)
    found = recommend([Complaint(cut, ("t0001",), ()), Complaint(few, ("t0001", "t0002"), ())])
    assert found == [
        "Truncated inputs (1 trial): Raise max_length.",
        "Too little data (the data): Find more rows.",
    ]


@pytest.mark.parametrize(
    ("best", "told"),
    [
        (3e-3, "Predicts one class (2 trials), not learning (2 trials): Raise the"),
        (1e-5, "Predicts one class (2 trials), not learning (2 trials): Lower the"),
        (
            None,
            "Predicts one class (2 trials), not learning (2 trials): Search learning rates both",
        ),
    ],
)
def test_trials_that_collapsed_and_learned_nothing_get_one_advice_by_the_best_trials_rate(
    best: float | None, told: str
) -> None:
    history = History()
    for trial, rate in (("t0001", 1e-3), ("t0002", 1e-4), ("t0003", best)):
        config = TrialConfig(trial, {} if rate is None else {"learning_rate": rate}, 0)
        history.trials[trial] = TrialRecord(config, "random")
    symptoms = {name: every_diagnosis()[name] for name in ("one_class", "not_learning")}
    for trial in ("t0001", "t0002"):
        for name, one in symptoms.items():
            found = Finding(name, one.title, "evidence", one.remedy, 8, one.stops)
            history.trials[trial].findings.append(found)
    complaints = gather(history, ["majority", "t0003", "t0001", "t0002"])
    assert [one.finding.symptom for one in complaints] == ["one_class", "not_learning"]
    (found,) = recommend(complaints)
    assert found.startswith(told)


def test_a_trial_with_one_of_both_symptoms_keeps_its_advice() -> None:
    history = History()
    for trial in ("t0001", "t0002"):
        history.trials[trial] = TrialRecord(TrialConfig(trial, {"learning_rate": 1e-3}, 0), "tpe")
        one = every_diagnosis()["one_class"]
        found = Finding("one_class", one.title, "evidence", one.remedy, 8, one.stops)
        history.trials[trial].findings.append(found)
    other = every_diagnosis()["not_learning"]
    lone = Finding("not_learning", other.title, "evidence", other.remedy, 8)
    history.trials["t0002"].findings.append(lone)
    remedies = {one.finding.remedy for one in gather(history, ["t0001", "t0002"])}
    assert every_diagnosis()["one_class"].remedy in remedies


def judged(right: float, baseline: float) -> Verdicts:
    labels = np.random.default_rng(1).integers(2, size=400)
    contenders = []
    for who, share in (("ensemble", right), ("best_trial", right), ("tfidf_logreg", baseline)):
        wrong = np.random.default_rng(len(who)).random(400) >= share
        contenders.append(Contender(who, np.eye(2)[labels ^ wrong] * 3.0))
    names, task = ("no", "yes"), SingleLabel()
    metric = METRICS["accuracy"]
    return judge_test(contenders, labels, metric=metric, task=task, label_names=names, seed=1)


def test_a_baseline_that_is_not_measurably_beaten_is_to_be_kept() -> None:
    (found,) = recommend([], verdicts=judged(0.8, 0.8))
    assert found.startswith("Keep tfidf_logreg: no gain of the ensemble over it can be measured (-")
    assert recommend([], verdicts=judged(0.95, 0.7)) == []


def test_a_test_split_that_was_looked_at_again_flatters() -> None:
    assert recommend([], tests_opened=1) == []
    (found,) = recommend([], tests_opened=3)
    assert found.startswith("Test on new rows: this search looked at its test split 3 times")


def test_all_doubtful_labels_are_counted_not_only_those_that_are_shown() -> None:
    labels = np.arange(200) % 2
    answers = labels.copy()
    answers[:8] = 1 - answers[:8]
    contenders = [Contender(who, np.eye(2)[answers] * 9.0) for who in ("ensemble", "words")]
    verdicts = judge_test(
        contenders, labels, metric=METRICS["accuracy"], task=SingleLabel(),
        label_names=("no", "yes"), seed=1,
    )  # fmt: skip
    mistakes = find_mistakes(verdicts, ["a text"] * 200)
    assert (len(mistakes.suspects), mistakes.suspected) == (5, 8)
    (found,) = recommend([], mistakes=mistakes)
    assert found.startswith("Check the labels of the 8 test rows that ensemble and words agree")
