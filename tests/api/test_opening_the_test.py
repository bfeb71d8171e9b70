"""Who stands beside the ensemble on the test split."""

from __future__ import annotations

from typing import Any

import pytest

from toprung.api import testing
from toprung.judge.leaderboard import Row


def row(rank: int, score: float, state: str) -> Row:
    return Row(rank, f"t{rank:04d}", score, 8, 1.0, state, "")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rows", "best"),
    [
        ([row(1, 0.95, "stopped"), row(2, 0.90, "completed"), row(3, 0.8, "completed")], "t0002"),
        ([row(1, 0.95, "baseline"), row(2, 0.90, "stopped")], "t0002"),
    ],
)
def test_the_best_single_trial_is_one_trained_to_the_end_if_any_was(
    rows: list[Row], best: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(testing, "leaderboard", lambda run: rows)
    nothing: Any = None
    assert testing._best_alone(nothing).trial == best
