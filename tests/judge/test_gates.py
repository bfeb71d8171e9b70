"""The contract of every gate's condition, and the order in which rules decide."""

from __future__ import annotations

import pytest

from toprung.judge.gates import registry
from toprung.judge.gates._base import Facts
from toprung.judge.gates.crashes import Crashes
from toprung.judge.gates.metric import MetricGate
from toprung.judge.gating import Rule, decide, diagnose
from toprung.trial.history import BaselineRecord
from toprung.trial.report import Metric

ACCURACY = Metric("accuracy", floor=0.9)
GOOD = Facts(
    ACCURACY,
    rows=20000,
    trial="t0002",
    metrics={"accuracy": 0.8, "recall.a": 0.95, "recall.b": 0.6},
    recalls={"a": 0.95, "b": 0.6},
    trial_seconds=600.0,
    baselines={"tfidf_logreg": BaselineRecord("tfidf_logreg", {"accuracy": 0.75}, 8.0)},
    trials=4,
    seconds=1800.0,
)
VALUES = {"crashes": 0.0, "gain": 0.05, "metric": 0.8, "minutes": 30.0, "worst_class": 0.6}


def options(name: str) -> dict[str, object]:
    return {"name": "accuracy"} if name == "metric" else {}


def test_every_condition_is_covered_here() -> None:
    assert sorted(VALUES) == registry.names()


@pytest.mark.parametrize("name", VALUES)
def test_a_condition_holds_at_its_bound_and_not_below_it(name: str) -> None:
    value = VALUES[name]
    for at_least, holds in ((value - 1e-9, True), (value + 1e-3, False)):
        at_least = max(0.0, at_least)
        condition = registry.make(name, {"at_least": at_least, **options(name)})
        assert condition.examine(GOOD).holds is (holds or value >= at_least)
    under = registry.make(name, {"below": value + 1e-3, **options(name)})
    assert under.examine(GOOD).holds


@pytest.mark.parametrize("name", VALUES)
def test_a_condition_without_bounds_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="at_least or below"):
        registry.make(name, options(name))
    with pytest.raises(ValueError, match="not above"):
        registry.make(name, {"at_least": 0.5, "below": 0.5, **options(name)})


@pytest.mark.parametrize("name", ["gain", "metric", "worst_class"])
def test_what_was_not_measured_does_not_hold(name: str) -> None:
    nothing = Facts(ACCURACY)
    found = registry.make(name, {"below": 1.0, **options(name)}).examine(nothing)
    assert not found.holds
    assert "measured" in found.words


def test_the_first_rule_that_holds_decides_and_every_one_asked_is_told() -> None:
    rules = [
        Rule("debug", (Crashes(at_least=1),)),
        Rule("succeed", (MetricGate(at_least=0.9, name="accuracy"),)),
        Rule("next_phase", (MetricGate(at_least=0.7, name="accuracy"),)),
        Rule("succeed"),
    ]
    found = decide(rules, GOOD, phase=1, phases=2)
    assert found.action == "next_phase"
    assert [(step.rule, step.holds) for step in found.steps] == [(1, False), (2, False), (3, True)]
    # After the last phase none is next, so that the rule after it decides.
    assert decide(rules, GOOD, phase=2, phases=2).action == "succeed"


def test_rules_of_another_phase_are_not_asked() -> None:
    rules = [Rule("succeed", phase=2)]
    assert decide(rules, GOOD, phase=1, phases=2).steps == ()
    assert decide(rules, GOOD, phase=2, phases=2).action == "succeed"


def test_rows_only_shrink() -> None:
    rules = [Rule("shrink", rows=20000)]
    found = decide(rules, GOOD, phase=1, phases=1)
    assert found.action == "end"
    assert "cannot shrink" in found.steps[0].words


def test_the_diagnosis_names_costs_classes_and_floors() -> None:
    told = " ".join(diagnose(GOOD))
    assert "t0002 reaches accuracy 0.8000 in 10 min 0 s, which beats tfidf_logreg" in told
    assert "'b' 0.6000" in told
    assert "1 of 2 classes miss the floor 0.9" in told
