"""Parts of train for the phases of a plan: stratified, and each within the next."""

from __future__ import annotations

import numpy as np
import pytest

from toprung.data.dataset import Dataset, Split
from toprung.data.series import Series
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


def test_windows_that_are_left_out_keep_their_arrays_and_further_targets() -> None:
    labels = np.array([0, 1] * 10)
    arrays = np.arange(20, dtype=np.float32).reshape(20, 1, 1)
    whole = Split("train", (), labels, Series({"acc": arrays}), {"aux_when": labels + 5})
    data = Dataset(("a", "b"), {"train": whole}, "ab" * 32)
    once = data.first_train_rows(12, 7)
    twice = once.first_train_rows(6, 7).splits
    assert once.splits["extra"].series is not None
    assert (len(once.splits["extra"]), len(twice["train"]), len(twice["extra"])) == (8, 6, 14)
    both = [twice["train"].series, twice["extra"].series]
    values = [v for series in both if series is not None for v in series.arrays["acc"].ravel()]
    assert sorted(values) == list(range(20))
    assert twice["extra"].auxiliary["aux_when"].tolist() == (twice["extra"].labels + 5).tolist()
