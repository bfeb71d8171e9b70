"""How trainings went, in a search and in a plan of longer and longer phases."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from toprung.judge.courses import study_courses
from toprung.judge.diagnoses._base import Facts
from toprung.judge.diagnosing import Examiner
from toprung.trial.config import Resource
from toprung.trial.history import History
from toprung.trial.report import Metric

METRIC = Metric("accuracy")
RESOURCE = Resource("examples", 10, 90, (10, 30, 90), (10, 30, 90))
PHASES = ((100, 90), (200, 600))


def tell(story: list[dict[str, Any]], kind: str, **fields: Any) -> None:
    number = len(story) + 1
    story.append({"seq": number, "epoch": 1, "at": number * 10.0, "kind": kind, **fields})


def train(story: list[dict[str, Any]], trial: str, course: dict[int, tuple[float, float]]) -> None:
    """A trial that reports accuracy and log-loss at resources, and trains to the last of them."""
    tell(story, "suggested", trial=trial, values={}, seed=1, source="random", bracket=0)
    tell(story, "started", trial=trial, attempt=1, **{"from": 0})
    for point, (accuracy, loss) in course.items():
        metrics = {"accuracy": accuracy, "log_loss": loss, "train_loss": loss - 0.01}
        found = {"resource": point, "metrics": metrics, "checkpoint": None, "seconds": 1.0}
        tell(story, "reported", trial=trial, **found)
        state = "completed" if point == max(course) else "running"
        told = {"decision": "x", "state": state, "reason": "y", "by": "rule"}
        tell(story, "decided", trial=trial, resource=point, **told)


def a_plan() -> History:
    story: list[dict[str, Any]] = []
    tell(story, "opened")
    for number, (rows, most) in enumerate(PHASES, 1):
        told = {"unit": "examples", "min": most // 9, "max": most, "floor": None, "carried": []}
        told |= {"rows": rows, "trials": 2, "seconds": None, "first": []}
        tell(story, "phase", phase=number, attempt=1, **told)
        for trial in (2 * number - 1, 2 * number):
            gains = {most // 9: 0.5, 2 * most // 3: 0.6, most: 0.7 + trial / 100}
            losses = {point: (value, 1 - value) for point, value in gains.items()}
            train(story, f"t000{trial}", losses)
    return History.of(story)


def test_of_a_plan_the_last_phase_is_told_to_its_own_end() -> None:
    found = study_courses(a_plan(), METRIC, RESOURCE, [(10, 30, 90), (66, 200, 600)])
    assert [(end.trial, end.since) for end in found.endings] == [("t0004", 400), ("t0003", 400)]
    assert found.median_gain == pytest.approx(0.135)


def test_without_a_plan_every_full_training_counts() -> None:
    story: list[dict[str, Any]] = []
    tell(story, "opened")
    train(story, "t0001", {10: (0.5, 0.9), 60: (0.7, 0.5), 90: (0.8, 0.6)})
    train(story, "t0002", {10: (0.5, 0.9), 30: (0.6, 0.8)})
    found = study_courses(History.of(story), METRIC, RESOURCE, [(10, 30, 90)])
    (end,) = found.endings
    assert (end.trial, end.since, end.gain) == ("t0001", 60, pytest.approx(0.1))
    assert end.overfits
    assert study_courses(History.of(story[:1]), METRIC, RESOURCE, []).endings == ()


def test_what_was_measured_on_other_rows_is_no_progress() -> None:
    """Reports before the end look at 100 rows, the last at all 250."""
    story: list[dict[str, Any]] = []
    tell(story, "opened")
    train(story, "t0001", {10: (0.5, 0.9), 60: (0.7, 0.5), 80: (0.71, 0.49), 90: (0.6, 0.7)})
    for event in story:
        if event["kind"] == "reported":
            event["metrics"]["evaluated_rows"] = 250 if event["resource"] == 90 else 100
    history = History.of(story)
    (end,) = study_courses(history, METRIC, RESOURCE, [(10, 30, 90)]).endings
    assert (end.since, end.till, end.gain) == (60, 80, pytest.approx(0.01))
    assert not end.overfits
    best = history.trials["t0001"].best(METRIC)
    assert best is not None
    assert best.resource == 90


def test_all_trainings_of_a_configuration_to_the_end_are_its_seeds() -> None:
    story: list[dict[str, Any]] = []
    tell(story, "opened")
    for trial, value in (("t0001", 0.7), ("t0001-s1", 0.8), ("t0002", 0.6)):
        train(story, trial, {10: (0.5, 0.9), 60: (value - 0.1, 0.5), 90: (value, 0.6)})
    (seeds,) = study_courses(History.of(story), METRIC, RESOURCE, [(10, 30, 90)]).seeds
    assert (seeds.trial, seeds.values) == ("t0001", (0.7, 0.8))


def test_neighbouring_rungs_of_each_ladder_are_compared() -> None:
    story: list[dict[str, Any]] = []
    tell(story, "opened")
    for number in range(6):
        value = 0.5 + number / 20
        train(story, f"t000{number}", {10: (value, 0.5), 30: (value + 0.1, 0.4)})
    found = study_courses(History.of(story), METRIC, RESOURCE, [(10, 30, 90), (20, 60)])
    (one,) = found.agreements
    assert (one.low, one.high, one.trials, one.rho) == (10, 30, 6, pytest.approx(1.0))


def test_a_phase_without_rows_of_its_own_is_examined_on_all() -> None:
    history = a_plan()
    phase = history.phases[0]
    history.phases[0] = replace(phase, event={**phase.event, "rows": None})
    facts = Facts(metric=METRIC, resource=RESOURCE, rows=400, class_rows={"a": 395, "b": 5})
    found = {one.symptom: one for one in Examiner(facts)(history.trials["t0001"], history)}
    assert "400 training rows" in found["few_rows"].evidence


def test_a_symptom_is_looked_for_at_the_end_of_the_phase_and_on_its_rows() -> None:
    """At 90 examples a trial of the second phase has seen a sixth; 200 rows hold two classes."""
    history = a_plan()
    facts = Facts(metric=METRIC, resource=RESOURCE, rows=400, class_rows={"a": 380, "b": 20})
    look = Examiner(facts)
    first, second = history.trials["t0001"], history.trials["t0003"]
    symptoms = {one.symptom: one for one in look(first, history)}
    assert "underfitting" in symptoms
    assert "the rarest, 'b', has 5" in symptoms["few_rows"].evidence
    assert "100 training rows" in symptoms["few_rows"].evidence
    assert "underfitting" in {one.symptom for one in look(second, history)}
    del second.reports[2:]
    assert second.reports[-1].resource > RESOURCE.max
    assert "underfitting" not in {one.symptom for one in look(second, history)}
    assert "few_rows" not in {one.symptom for one in look(second, history)}
