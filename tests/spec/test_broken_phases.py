"""Every way to get a plan wrong is told with its line, the value and what to do."""

from __future__ import annotations

import pytest

from toprung.core.errors import FixSpec
from toprung.spec.load import parse_spec

GOOD = """\
task: single_label
data: {path: rows}
space: {backbone: minilm, max_length: 64}
metric: accuracy
phases:
  - {rows: 20000, trials: 9, epochs: 2}
  - {rows: 40000, best: 3, epochs: 3}
gates:
  - {when: {crashes: {at_least: 1}}, then: {shrink: {rows: 15000}}}
  - {phase: 1, when: {accuracy: {at_least: 0.8}, worst_class: {at_least: 0.85}}, then: succeed}
constraints: {recall: 0.5}
"""

BROKEN = {
    "fewer rows later": (
        "rows: 40000",
        "rows: 10000",
        (7, "phases[1].rows"),
        ["10000 rows are fewer than the 20000", "raise it, or swap"],
    ),
    "rows after all rows": (
        "{rows: 20000, trials: 9, epochs: 2}",
        "{trials: 9}",
        (7, "phases[1].rows"),
        ["fewer than all rows"],
    ),
    "no rows": ("rows: 20000", "rows: 0", (6, "phases[0].rows"), ["0 is not", "at least 1"]),
    "unknown key": ("trials: 9", "trails: 9", (6, "phases[0].trails"), ["Did you mean 'trials'?"]),
    "epochs without rows": (
        "rows: 40000, best: 3,",
        "best: 3,",
        (7, "phases[1].epochs"),
        ["of how many rows"],
    ),
    "best of nothing": (
        "trials: 9",
        "best: 9",
        (6, "phases[0].best"),
        ["the first phase has none before it"],
    ),
    "best of too few": (
        "best: 3",
        "best: 12",
        (7, "phases[1].best"),
        ["tries only 9 configurations"],
    ),
    "too long": (
        "best: 3,",
        "max_length: 1024,",
        (7, "phases[1].max_length"),
        ["1024 is above 512"],
    ),
    "unknown metric": (
        "{accuracy: {at_least: 0.8}",
        "{accurcy: {at_least: 0.8}",
        (10, "gates[1].when.accurcy"),
        ["no metric or condition 'accurcy'", "Did you mean 'accuracy'?", "worst_class"],
    ),
    "unknown action": (
        "then: succeed",
        "then: suceed",
        (10, "gates[1].then"),
        ["no action 'suceed'", "Did you mean 'succeed'?", "shrink, debug"],
    ),
    "a floor above 1": (
        "worst_class: {at_least: 0.85}",
        "worst_class: {at_least: 85}",
        (10, "gates[1].when.worst_class"),
        ["at_least: 85 is not at least 0 and at most 1"],
    ),
    "a constraint above 1": (
        "recall: 0.5",
        "recall: 1.5",
        (11, "constraints.recall"),
        ["1.5 is not", "at least 0 and at most 1"],
    ),
    "no bound": (
        "crashes: {at_least: 1}",
        "crashes: {}",
        (9, "gates[0].when.crashes"),
        ["needs at_least or below"],
    ),
    "no action": (
        ", then: succeed",
        "",
        (10, "gates[1]"),
        ["a gate needs then", "succeed, next_phase"],
    ),
    "shrink to nothing": (
        "{shrink: {rows: 15000}}",
        "shrink",
        (9, "gates[0].then"),
        ["shrink needs rows"],
    ),
    "shrink that grows": (
        "rows: 15000",
        "rows: 90000",
        (9, "gates[0].then"),
        ["90000 rows are no fewer than the 40000"],
    ),
    "a phase that is not there": (
        "phase: 1",
        "phase: 3",
        (10, "gates[1].phase"),
        ["3 is not the number of a phase, from 1 to 2"],
    ),
    "options of an action without any": (
        "then: succeed",
        "then: {succeed: {rows: 2}}",
        (10, "gates[1].then.succeed"),
        ["'succeed' has no options"],
    ),
    "gain over nobody": (
        "{accuracy: {at_least: 0.8}",
        "{gain: {at_least: 0.0, over: tfidf}",
        (10, "gates[1].when"),
        ["no baseline 'tfidf'", "tfidf_logreg"],
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_wrong_with_a_plan_is_told_once_with_its_line(name: str) -> None:
    old, new, (line, place), words = BROKEN[name]
    assert old in GOOD
    with pytest.raises(FixSpec) as caught:
        parse_spec(GOOD.replace(old, new, 1).encode(), path="plan.yaml")
    (problem,) = caught.value.problems
    assert (problem.line, problem.where) == (line, place)
    for word in words:
        assert word in problem.text
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    "text", ["phases: 3", "phases: []", "phases: [20000]", "gates: yes", "gates: [3]"]
)
def test_a_plan_of_another_shape_is_told_with_an_example(text: str) -> None:
    key = text.partition(":")[0]
    kept = GOOD.replace(GOOD[GOOD.index("phases:") : GOOD.index("constraints")], "")
    whole = (
        kept + text
        if key == "phases"
        else GOOD.replace(GOOD[GOOD.index("gates:") : GOOD.index("constraints")], text + "\n")
    )
    with pytest.raises(FixSpec, match=r"Write|not a"):
        parse_spec(whole.encode(), path="plan.yaml")


def test_gates_without_phases_are_refused() -> None:
    kept = GOOD.replace(GOOD[GOOD.index("phases:") : GOOD.index("gates:")], "")
    with pytest.raises(FixSpec, match="gates stand between phases"):
        parse_spec(kept.encode(), path="plan.yaml")


def test_a_plan_resolves_to_an_equal_plan() -> None:
    spec = parse_spec(GOOD.encode(), path="plan.yaml")
    assert parse_spec(spec.resolved.encode(), path="plan.yaml") == spec
    assert [phase.rows for phase in spec.phases] == [20000, 40000]
    assert [phase.trials for phase in spec.phases] == [9, 3]
    assert spec.metric.floor == 0.5
    assert spec.phases[0].resource_with(15000, spec.resource).max == 30000


WRITING = """\
task: summarization
data: {path: rows}
space: {backbone: t5_small}
constraints: {recall: 0.5}
phases:
  - {rows: 2000, trials: 4, constraints: {recall: 0.5}}
gates:
  - {when: {worst_class: {at_least: 0.8}}, then: succeed}
"""
SERIES = """\
task: series
data: {path: rows}
space: {backbone: transformer}
phases:
  - {rows: 2000, trials: 4, max_length: 64}
"""


@pytest.mark.parametrize(
    ("text", "places", "told"),
    [
        (WRITING, ["phases[0].constraints.recall", "constraints.recall"], "have no classes"),
        (
            WRITING.replace("constraints: {recall: 0.5}\n", "").replace(
                ", constraints: {recall: 0.5}", ""
            ),
            ["gates[0].when.worst_class"],
            "no metric or condition 'worst_class'",
        ),
        (SERIES, ["phases[0].max_length"], "series have the length of their windows"),
    ],
)
def test_what_a_task_has_not_is_refused(text: str, places: list[str], told: str) -> None:
    with pytest.raises(FixSpec) as raised:
        parse_spec(text.encode(), path="plan.yaml")
    assert sorted(problem.where for problem in raised.value.problems) == sorted(places)
    assert all(told in problem.text for problem in raised.value.problems)
