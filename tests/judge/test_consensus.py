"""Minimum-Bayes-risk choice: the candidate that agrees with the others wins."""

from __future__ import annotations

import numpy as np
import pytest

from toprung.core.errors import GiveUp
from toprung.data.answers import as_texts
from toprung.data.tasks.summarization import Summarization
from toprung.judge.consensus import Ballot, choose_texts
from toprung.judge.ensembles._base import blend
from toprung.judge.ensembles.mbr import Mbr
from toprung.judge.intervals import Answers, Judge
from toprung.trial.report import Metric

TASK = Summarization()
ROUGE1 = Metric("rouge1")


def test_the_candidate_that_agrees_with_the_others_is_chosen() -> None:
    answers = {
        "a": as_texts([["the dog runs home", "a cat"]]),
        "b": as_texts([["the dog runs away"]]),
        "c": as_texts([["nothing like it at all"]]),
    }
    even = dict.fromkeys(answers, 1 / 3)
    assert choose_texts(answers, even, TASK.agree)[0].startswith("the dog runs")
    assert blend(answers, even, TASK)[0] == (choose_texts(answers, even, TASK.agree)[0],)


def test_the_expected_agreement_leaves_a_candidate_itself_out() -> None:
    ballot = Ballot({"a": as_texts([["x y", "x z"]]), "b": as_texts([["x z"]])}, TASK.agree)
    assert ballot.texts[0][ballot.choose({"a": 0.5, "b": 0.5})[0]] == "x z"
    assert ballot.texts[0][ballot.choose({"a": 1.0})[0]] == "x y"


def test_nobody_without_a_weight_is_chosen_and_ties_fall_to_the_heavier() -> None:
    answers = {"a": as_texts([["one"]]), "b": as_texts([["two"]])}
    assert choose_texts(answers, {"b": 1.0}, TASK.agree) == ["two"]
    assert choose_texts(answers, {"a": 0.4, "b": 0.6}, TASK.agree) == ["two"]


def candidates(rows: int = 40) -> tuple[dict[str, np.ndarray], np.ndarray]:
    chance = np.random.default_rng(1)
    words = np.array([f"w{i}" for i in range(30)])
    truth = [list(chance.choice(words, 8, replace=False)) for _ in range(rows)]

    def noisy(share: float) -> np.ndarray:
        texts = []
        for row in truth:
            kept = [w if chance.random() > share else chance.choice(words) for w in row]
            texts.append([" ".join(kept)])
        return as_texts(texts)

    made = {"good": noisy(0.3), "also": noisy(0.35), "third": noisy(0.35), "bad": noisy(0.98)}
    return made, as_texts([(" ".join(row),) for row in truth])


def test_members_are_selected_by_the_metric_and_together_beat_the_best_alone() -> None:
    answers, labels = candidates()
    weights = Mbr(members=3).weigh(answers, labels, ROUGE1, TASK)
    assert sum(weights.values()) == pytest.approx(1.0)
    assert "bad" not in weights
    assert len(weights) <= 3
    alone = max(TASK.measure(found, labels)["rouge1"] for found in answers.values())
    assert TASK.measure(blend(answers, weights, TASK), labels)["rouge1"] >= alone
    with pytest.raises(GiveUp):
        Mbr().weigh({}, labels, ROUGE1, TASK)


def test_intervals_resample_rows_and_hold_the_mean() -> None:
    answers, labels = candidates()
    judge = Judge(TASK, labels, seed=1, resamples=200)
    own, other = Answers(answers["good"]), Answers(answers["bad"])
    interval, gain = judge.interval(ROUGE1, own), judge.gain(ROUGE1, own, other)
    mean = TASK.measure(answers["good"], labels)["rouge1"]
    assert interval.value == pytest.approx(mean)
    assert interval.low < mean < interval.high
    assert 0 < gain.low < gain.value < gain.high
