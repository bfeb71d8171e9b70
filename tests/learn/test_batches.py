from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import torch

from toprung.learn.batches import Batches, Position, collate, row_weights
from toprung.learn.tokens import Tokens

LENGTHS = np.random.default_rng(0).integers(3, 60, 1003)


def test_an_epoch_holds_every_row_once() -> None:
    rows = np.concatenate(Batches(LENGTHS, size=16, seed=1).epoch(0))
    assert sorted(rows) == list(range(1003))


def test_batches_hold_rows_of_like_length() -> None:
    epoch = Batches(LENGTHS, size=16, seed=1).epoch(0)
    padded = sum(len(rows) * LENGTHS[rows].max() for rows in epoch)
    assert padded < 1.05 * LENGTHS.sum()


def test_the_order_depends_on_seed_and_epoch_alone() -> None:
    one, same, other = (Batches(LENGTHS, 16, seed) for seed in (1, 1, 2))
    one.epoch(0)
    assert all(np.array_equal(a, b) for a, b in zip(one.epoch(3), same.epoch(3), strict=True))
    assert not np.array_equal(np.concatenate(one.epoch(3)), np.concatenate(other.epoch(3)))
    assert not np.array_equal(np.concatenate(one.epoch(3)), np.concatenate(one.epoch(4)))


@pytest.mark.parametrize("steps", [0, 1, 62, 63, 64, 130])
def test_training_goes_on_from_any_position(steps: int) -> None:
    batches = Batches(LENGTHS, size=16, seed=1)
    whole = list(islice(batches.after(Position()), steps + 5))
    position = whole[steps - 1][1] if steps else Position()
    for (rows, after), (expected, place) in zip(
        batches.after(position), whole[steps:], strict=False
    ):
        assert np.array_equal(rows, expected)
        assert after == place
    assert whole[-1][1].examples == sum(len(rows) for rows, _ in whole)


@pytest.mark.parametrize(("sampling", "share"), [("balanced", 0.5), ("sqrt", 0.25)])
def test_weighted_sampling_draws_rare_classes_more_often(sampling: str, share: float) -> None:
    labels = np.array([0] * 900 + [1] * 100)
    weights = row_weights(labels, sampling)
    batches = Batches(np.full(1000, 8), size=20, seed=1, weights=weights)
    drawn = labels[np.concatenate([rows for epoch in range(5) for rows in batches.epoch(epoch)])]
    assert len(drawn) == 5000
    assert abs(drawn.mean() - share) < 0.03


def test_rows_are_padded_to_the_longest_of_them() -> None:
    tokens = Tokens(np.arange(1, 7, dtype=np.int32), np.array([0, 2, 3, 6]))
    ids, mask = collate(tokens, np.array([2, 1]), 9, torch.device("cpu"))
    assert ids.tolist() == [[4, 5, 6], [3, 9, 9]]
    assert mask.tolist() == [[1, 1, 1], [1, 0, 0]]
