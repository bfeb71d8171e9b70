"""Parts of train for the phases of a plan: stratified, and each within the next."""

from __future__ import annotations

import numpy as np
import pytest

from toprung.data.dataset import Dataset, Split
from toprung.data.split import nested_rows


def dataset(rows: int = 1000) -> Dataset:
    labels = np.array([0] * (rows // 2) + [1] * (rows // 5) + [2] * (rows * 3 // 10))
    texts = tuple(f"text {i}" for i in range(rows))
    splits = {
        "train": Split("train", texts, labels),
        "extra": Split("extra", ("left out",), labels[:1]),
    }
    return Dataset(("a", "b", "c"), splits, "ab" * 32)


def test_smaller_parts_lie_within_larger_ones_and_keep_the_shares() -> None:
    whole = dataset()
    parts = {n: whole.first_train_rows(n, 7).splits["train"] for n in (150, 200, 400, 1000)}
    found = {n: set(part.texts) for n, part in parts.items()}
    assert found[150] < found[200] < found[400] < found[1000]
    for n, part in parts.items():
        shares = np.bincount(part.labels) / n
        assert np.allclose(shares, [0.5, 0.2, 0.3], atol=1.5 / n)


def test_rows_that_are_left_out_join_the_extra_ones() -> None:
    part = dataset().first_train_rows(300, 7)
    assert len(part.splits["extra"]) == 701
    assert set(part.splits["extra"].texts) & set(part.splits["train"].texts) == set()


def test_another_number_of_rows_is_other_data_and_all_rows_are_the_same() -> None:
    whole = dataset()
    hashes = {whole.first_train_rows(n, 7).sha256 for n in (100, 200, 300)}
    assert len(hashes | {whole.sha256}) == 4
    assert whole.first_train_rows(None, 7) is whole


def test_more_rows_than_there_are_is_an_error() -> None:
    with pytest.raises(ValueError, match="1,000 rows, not 1,001"):
        dataset().first_train_rows(1001, 7)


def test_the_order_is_the_seeds() -> None:
    strata = np.arange(50) % 4
    assert (nested_rows(strata, 1) == nested_rows(strata, 1)).all()
    assert (nested_rows(strata, 1) != nested_rows(strata, 2)).any()
    assert sorted(nested_rows(strata, 1).tolist()) == list(range(50))
