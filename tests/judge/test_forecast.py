"""What a forecast was worth: scored from the journal, and told by the report."""

from __future__ import annotations

from typing import Any

import pytest

from toprung.judge.forecast import Range, score_forecast
from toprung.judge.report.forecast_section import tell_forecast


def journal(*kinds: tuple[str, float], until: int = 1) -> list[dict[str, Any]]:
    expected = {"low": 80.0, "middle": 100.0, "high": 130.0}
    said = {
        "kind": "forecast",
        "at": 0.0,
        "until": [expected] * until,
        "seconds": expected,
        "measured": {"a": 1.0},
        "took_seconds": 9.0,
    }
    return [said, *({"kind": kind, "at": at, "attempt": 1} for kind, at in kinds)]


def test_a_forecast_is_scored_against_the_end_of_the_search_and_of_everything() -> None:
    search, whole = score_forecast(journal(("closed", 90.0), ("ensembled", 125.0)))
    assert search.error == pytest.approx(0.1111, abs=1e-4)
    assert search.is_within
    assert whole.error == pytest.approx(-0.2)
    assert "+11.1%" in "\n".join(tell_forecast(journal(("closed", 90.0), ("ensembled", 125.0))))


def test_the_memory_of_a_trial_is_scored_where_one_told_it() -> None:
    events = journal(("closed", 90.0), ("ensembled", 125.0))
    events[0]["trial_memory_bytes"] = 2 * 2**30
    assert [one.unit for one in score_forecast(events)] == ["seconds", "seconds"]
    events[-1]["trial_memory_bytes"] = 4 * 2**30
    memory = score_forecast(events)[-1]
    assert (memory.error, memory.is_within) == (-0.5, False)
    lines = tell_forecast(events)
    assert next(line for line in lines if "memory" in line).split("|")[2:5] == [
        " 2.0 GiB ",
        " 1.5 GiB to 2.5 GiB ",
        " 4.0 GiB ",
    ]


def test_a_plan_that_a_gate_ended_is_scored_until_that_gate() -> None:
    (only,) = score_forecast(journal(("closed", 200.0), ("ensembled", 300.0), until=2))
    assert only.what == "until the end of phase 1"
    assert not only.is_within


@pytest.mark.parametrize("kind", ["extended", "phase"])
def test_what_was_not_forecast_is_not_scored(kind: str) -> None:
    events = journal((kind, 10.0), ("closed", 90.0))
    events[1]["attempt"] = 2
    assert score_forecast(events) == []
    assert score_forecast(events[1:]) == []
    assert tell_forecast(events) == []


def test_a_wide_uncertainty_is_a_factor_and_never_reaches_zero() -> None:
    assert Range.of([10.0], 1.0) == Range(5.0, 10.0, 20.0)
