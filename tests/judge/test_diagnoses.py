from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from toprung.core.errors import Interrupted
from toprung.judge import diagnoses
from toprung.judge.diagnoses._base import Course, Facts
from toprung.judge.diagnosing import Examiner, every_diagnosis, gather
from toprung.search.driver import Driver
from toprung.search.plan import Plan
from toprung.search.runners.virtual import Virtual
from toprung.search.schedulers.asha import Asha
from toprung.search.searchers.random import Random
from toprung.trial.config import Assignment, Resource
from toprung.trial.decision import Failure
from toprung.trial.history import History
from toprung.trial.journal import Journal, read_events
from toprung.trial.report import Metric, Report
from toprung.trial.space import Float, Space

METRIC = Metric("macro_f1")
RESOURCE = Resource("examples", 100, 900, (100, 200, 300, 500, 700, 900), (100, 300, 900))
FACTS = Facts(
    metric=METRIC,
    resource=RESOURCE,
    rows=400,
    class_rows={"a": 200, "b": 200},
    baselines={"majority": {"macro_f1": 0.33, "log_loss": 0.693}},
)
SOUND: Mapping[str, Sequence[float]] = {
    "macro_f1": (0.5, 0.6, 0.7, 0.75, 0.78, 0.79),
    "log_loss": (0.65, 0.6, 0.5, 0.45, 0.43, 0.42),
    "train_loss": (0.68, 0.6, 0.5, 0.42, 0.38, 0.35),
    "learning_rate": (1e-3, 9e-4, 7e-4, 5e-4, 3e-4, 1e-5),
    "evaluated_rows": (400,) * 6,
    "largest_predicted_share": (0.9, 0.6, 0.55, 0.5, 0.5, 0.5),
    "largest_true_share": (0.5,) * 6,
    "truncated_share": (0.05,) * 6,
}


def course(
    *, reports: int = 6, facts: Facts = FACTS, failure: Failure | None = None,
    values: Mapping[str, Any] | None = None, **series: Sequence[float],
) -> Course:  # fmt: skip
    told = {**SOUND, **series}
    return Course(
        values={"learning_rate": 1e-3, "max_length": 128, **(values or {})},
        reports=[
            Report("t0001", point, {name: told[name][i] for name in told}, float(point))
            for i, point in enumerate(RESOURCE.points[:reports])
        ],
        failures=[failure] if failure else [],
        facts=facts,
    )


def few() -> Facts:
    return replace(FACTS, rows=30, class_rows={"a": 27, "rare": 3})


PLANTED: dict[str, tuple[Course, str]] = {
    "one_class": (
        course(reports=3, largest_predicted_share=(0.9, 1.0, 1.0)),
        "100.0% of the stopping rows get the same answer at 300 examples",
    ),
    "not_finite": (
        course(reports=0, failure=Failure("diverged", "the training loss is nan at step 3")),
        "nan at step 3; the learning rate is 0.001",
    ),
    "not_learning": (
        course(reports=3, log_loss=(0.7, 0.693, 0.692), macro_f1=(0.33, 0.33, 0.34)),
        "log-loss is 0.692 and macro_f1 0.3400; answering with the classes' shares alone gives",
    ),
    "overfitting": (
        course(
            log_loss=(0.6, 0.5, 0.4, 0.45, 0.55, 0.7), train_loss=(0.6, 0.5, 0.4, 0.3, 0.2, 0.1)
        ),
        "rose from 0.400 at 300 examples to 0.700 at 900 examples",
    ),
    "underfitting": (
        course(log_loss=(1, 0.9, 0.8, 0.7, 0.6, 0.5), train_loss=(1, 0.9, 0.8, 0.7, 0.6, 0.5)),
        "training loss still fell from 0.600 to 0.500",
    ),
    "schedule_stuck": (
        course(learning_rate=(1e-3,) * 6, values={"schedule": "plateau"}),
        "the learning rate was 0.001 at all 6 reports",
    ),
    "auxiliary_dominates": (
        course(train_auxiliary_loss=(0.1, 0.2, 0.3, 0.3, 0.36, 0.33)),
        "94% of the training loss (0.330 of 0.350)",
    ),
    "patience_short": (
        course(
            values={"schedule": "plateau"},
            learning_rate=(1e-3, 5e-4, 2.5e-4, 1e-4, 1e-4, 1e-4),
            train_loss=(0.9, 0.8, 0.7, 0.6, 0.55, 0.5),
        ),
        "fell from 0.001 to 0.0001 by 500 examples",
    ),
    "swinging": (
        course(macro_f1=(0.5, 0.7, 0.5, 0.72, 0.5, 0.7)),
        "macro_f1 fell 2 times",
    ),
    "truncated": (
        course(truncated_share=(0.6,) * 6, values={"max_length": 64}),
        "60.0% of the training texts reach the limit of 64 tokens",
    ),
    "few_rows": (course(facts=few()), "the rarest, 'rare', has 3"),
}


@pytest.mark.parametrize("name", diagnoses.registry.names())
def test_every_diagnosis_fires_on_its_symptom_with_the_numbers(name: str) -> None:
    planted, words = PLANTED[name]
    evidence = every_diagnosis()[name].evidence(planted)
    assert evidence is not None
    assert words in evidence
    assert not evidence.endswith(".")


@pytest.mark.parametrize("name", diagnoses.registry.names())
@pytest.mark.parametrize("reports", range(7))
def test_no_diagnosis_fires_on_a_sound_trial_at_any_point(name: str, reports: int) -> None:
    assert every_diagnosis()[name].evidence(course(reports=reports)) is None


@pytest.mark.parametrize("name", diagnoses.registry.names())
def test_every_diagnosis_stays_silent_where_reports_lack_its_metrics(name: str) -> None:
    bare = [Report("t0001", p, {"macro_f1": 0.5}, 1.0) for p in RESOURCE.points]
    lone = Course(values={}, reports=bare, facts=Facts(metric=METRIC, resource=RESOURCE))
    assert every_diagnosis()[name].evidence(lone) is None


@pytest.mark.parametrize("name", diagnoses.registry.names())
def test_title_and_remedy_read_as_promised(name: str) -> None:
    diagnosis = every_diagnosis()[name]
    assert diagnosis.title[0].islower()
    assert diagnosis.remedy.endswith(".")
    assert diagnosis.remedy.count(". ") == 0


@pytest.mark.parametrize(
    "near",
    [
        course(reports=1, largest_predicted_share=(1.0,)),  # a ninth of the training
        course(reports=3, largest_predicted_share=(0.5, 0.6, 1.0)),  # for the first time
        course(reports=3, largest_predicted_share=(1.0,) * 3, largest_true_share=(0.97,) * 3),
    ],
)
def test_one_answer_early_or_once_or_among_like_rows_is_no_collapse(near: Course) -> None:
    assert every_diagnosis()["one_class"].evidence(near) is None


def collapsing(assignment: Assignment) -> Iterator[Report]:
    """Configurations with a rate above a half answer every row alike."""
    rate = float(str(assignment.config.values["learning_rate"]))
    for i, point in enumerate(RESOURCE.points):
        metrics = {name: found[i] for name, found in SOUND.items()}
        metrics["macro_f1"] += rate / 10
        if rate > 0.5:
            metrics["largest_predicted_share"] = 1.0
        if point > assignment.start:
            yield Report(assignment.config.trial, point, metrics, point / 10, f"at{point}")


def run(folder: Path, *, stop_after: int | None = None) -> History:
    runner, scheduler, searcher = Virtual(workers=3), Asha(rule="stop"), Random()
    scheduler.prepare(RESOURCE, METRIC)
    searcher.prepare(Space({"learning_rate": Float(0.01, 1.0)}), 7)
    plan = Plan(METRIC, RESOURCE, 12, seed=7)
    with Journal(folder, runner.clock, durable=False) as journal:
        driver = Driver(plan, scheduler, searcher, journal, diagnose=Examiner(FACTS))
        if stop_after is not None:

            def count(event: Mapping[str, Any]) -> None:
                driver.interrupted = event["seq"] >= stop_after

            driver.watch(count)
        with suppress(Interrupted):
            runner.run(driver, collapsing)
            driver.finish()
        return driver.history


def told(folder: Path) -> list[tuple[Any, ...]]:
    kept = ("kind", "trial", "resource", "decision", "reason", "by", "symptom")
    return [
        tuple(event.get(name) for name in kept)
        for event in read_events(folder / "journal.jsonl")
        if event["kind"] in ("decided", "diagnosed", "promoted", "suggested")
    ]


def test_a_collapsed_trial_is_stopped_at_a_rung_with_the_reason(tmp_path: Path) -> None:
    history = run(tmp_path)
    ill = [r for r in history.trials.values() if float(str(r.config.values["learning_rate"])) > 0.5]
    assert ill
    for record in ill:
        assert record.state == "stopped"
        assert {finding.symptom for finding in record.findings} <= {"one_class"}
        if record.resource > 100:
            assert record.reason.startswith("predicts one class: 100.0% of the stopping rows")
            assert record.resource == 300
    assert any(record.resource == 300 for record in ill)
    assert all(not r.findings for r in history.trials.values() if r not in ill)
    (complaint,) = gather(history, sorted(history.trials))
    assert complaint.stopped == tuple(r.config.trial for r in ill if r.resource == 300)


@pytest.mark.parametrize("cut", [15, 25, 30, 34, 38, 42, 50, 60])
def test_a_search_that_was_cut_off_makes_the_same_diagnoses_and_decisions(
    tmp_path: Path, cut: int
) -> None:
    run(tmp_path / "whole")
    run(tmp_path / "cut", stop_after=cut)
    history = run(tmp_path / "cut")
    assert history.closed is not None
    assert told(tmp_path / "cut") == told(tmp_path / "whole")


def test_what_is_about_the_rows_is_told_once(tmp_path: Path) -> None:
    with Journal(tmp_path, Virtual().clock, durable=False) as journal:
        runner, scheduler, searcher = Virtual(workers=2), Asha(), Random()
        scheduler.prepare(RESOURCE, METRIC)
        searcher.prepare(Space({"learning_rate": Float(0.01, 0.4)}), 7)
        plan = Plan(METRIC, RESOURCE, 6, seed=7)
        driver = Driver(plan, scheduler, searcher, journal, diagnose=Examiner(few()))
        runner.run(driver, collapsing)
    events = [e for e in read_events(tmp_path / "journal.jsonl") if e["kind"] == "diagnosed"]
    assert [event["symptom"] for event in events] == ["few_rows"]
