from __future__ import annotations

from typing import Any

from toprung.judge.budget import RungCount, count_rungs, savings, search_phase
from toprung.trial.config import Resource
from toprung.trial.report import Metric

ACCURACY = Metric("accuracy")
RESOURCE = Resource("examples", 10, 90, (10, 30, 90))


class Story:
    """Events as a driver would journal them."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def add(self, kind: str, **fields: Any) -> None:
        number = len(self.events) + 1
        self.events.append({"seq": number, "epoch": 1, "at": float(number), "kind": kind, **fields})

    def begin(self, trial: str, source: str = "random") -> None:
        self.add("suggested", trial=trial, values={}, seed=1, source=source, bracket=0)
        self.add("started", trial=trial, attempt=1)

    def report(self, trial: str, resource: int, value: float, state: str) -> None:
        self.add(
            "reported", trial=trial, resource=resource, metrics={"accuracy": value},
            seconds=resource / 2, checkpoint=None,
        )  # fmt: skip
        self.add("decided", trial=trial, resource=resource, state=state, reason="why", by="rule")


def a_search() -> Story:
    story = Story()
    for trial, values in {"t0001": [0.5], "t0002": [0.6, 0.7], "t0003": [0.7, 0.8, 0.9]}.items():
        story.begin(trial)
        states = ["running"] * (len(values) - 1) + ["completed" if len(values) == 3 else "stopped"]
        for resource, value, state in zip((10, 30, 90), values, states, strict=False):
            story.report(trial, resource, value, state)
    return story


def test_savings_compare_what_was_spent_with_every_trial_at_the_full_resource() -> None:
    found = savings(search_phase(a_search().events), RESOURCE)
    assert (found.trials, found.spent, found.full) == (3, 130, 270)
    assert (found.seconds, found.full_seconds, found.saved_seconds) == (65.0, 135.0, 70.0)
    assert round(found.saved_share, 4) == 0.5185


def test_a_trial_that_failed_is_no_saving() -> None:
    story = a_search()
    story.begin("t0004")
    story.report("t0004", 10, 0.9, "running")
    story.add(
        "failed", trial="t0004", message="m", state="failed", reason="r", shrink=1,
        attempt=1,
        **{"class": "user_error"},
    )  # fmt: skip
    history = search_phase(story.events)
    assert savings(history, RESOURCE).trials == 3
    assert count_rungs(history, ACCURACY, {0: (10,)})[0].went_on == 3


def test_training_finalists_changes_neither_savings_nor_rungs() -> None:
    story = a_search()
    before = search_phase(story.events)
    story.add("finalist", trial="t0001", reason="chosen for the ensemble")
    story.report("t0001", 90, 0.95, "completed")
    story.begin("t0003-s1", source="finalist")
    story.report("t0003-s1", 90, 0.9, "completed")
    after = search_phase(story.events)
    assert savings(after, RESOURCE) == savings(before, RESOURCE)
    ladders = {0: (10, 30, 90)}
    assert count_rungs(after, ACCURACY, ladders) == count_rungs(before, ACCURACY, ladders)


def test_each_rung_tells_who_reached_it_who_went_on_and_the_cut_off() -> None:
    history = search_phase(a_search().events)
    assert count_rungs(history, ACCURACY, {0: (10, 30, 90), 1: (30,)}) == [
        RungCount(0, 10, reached=3, went_on=2, cutoff=0.6),
        RungCount(0, 30, reached=2, went_on=1, cutoff=0.8),
        RungCount(0, 90, reached=1, went_on=0, cutoff=None),
        RungCount(1, 30, reached=0, went_on=0, cutoff=None),
    ]
    turned = count_rungs(history, Metric("accuracy", maximize=False), {0: (10,)})
    assert turned[0].cutoff == 0.7


def test_a_search_without_reports_saved_nothing() -> None:
    found = savings(search_phase([]), RESOURCE)
    assert (found.trials, found.saved_share, found.saved_seconds) == (0, 0.0, 0.0)
