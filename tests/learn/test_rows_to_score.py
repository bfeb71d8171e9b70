from __future__ import annotations

import numpy as np

from toprung.learn.batches import nested_order
from toprung.learn.evaluate import rows_to_score
from toprung.trial.config import Resource

LADDER = Resource("examples", 1000, 27_000, (1000, 3000, 6000, 9000, 27_000), (1000, 3000, 9000))
LABELS = {
    "stopping": np.arange(2000) % 4 // 3,  # three quarters are of class 0
    "selection": np.zeros(1500, dtype=np.int64),
}


def count(point: int) -> dict[str, int]:
    return {n: len(rows) for n, rows in rows_to_score(LABELS, LADDER, point, unit=1).items()}


def test_all_rows_are_scored_at_the_largest_resource() -> None:
    assert count(27_000) == {"stopping": 2000, "selection": 1500}


def test_low_rungs_score_a_quarter_of_what_was_trained_and_512_at_least() -> None:
    assert count(1000) == {"stopping": 512}
    assert count(3000) == {"stopping": 512}
    assert count(9000) == {"stopping": 1500}


def test_a_rung_scores_all_rows_where_they_are_few_beside_the_training() -> None:
    few = {name: labels[:200] for name, labels in LABELS.items()}
    assert rows_to_score(few, LADDER, 3000, unit=1).keys() == {"stopping", "selection"}
    assert rows_to_score(few, LADDER, 6000, unit=1).keys() == {"stopping"}  # no rung


def test_rows_of_a_lower_rung_are_among_those_of_a_higher_one_with_all_classes_in_proportion() -> (
    None
):
    low = rows_to_score(LABELS, LADDER, 1000, unit=1)["stopping"]
    high = rows_to_score(LABELS, LADDER, 9000, unit=1)["stopping"]
    assert set(low) <= set(high)
    assert abs(LABELS["stopping"][low].mean() - 0.25) < 0.01


def test_the_order_takes_every_row_once() -> None:
    assert sorted(nested_order(LABELS["stopping"])) == list(range(2000))
