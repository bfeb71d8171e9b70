"""Properties of splits: shares, no overlap, no parted repeats, the same for the same seed."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toprung.data.split import carve, part, sample

LABELS = st.lists(st.sampled_from("aaaaaabbbbccd"), min_size=1, max_size=200)
SEEDS = st.integers(0, 2**31)
SHARES = st.floats(0.01, 0.5)


@given(labels=LABELS, share=SHARES, seed=SEEDS)
@settings(deadline=None)
def test_each_class_gives_its_share_within_one_row(
    labels: list[str], share: float, seed: int
) -> None:
    gone = Counter(labels[i] for i in carve(labels, range(len(labels)), share, seed))
    for label, rows in Counter(labels).items():
        assert abs(gone[label] - share * rows) <= 1
        assert rows - gone[label] >= min(rows, 2)
        assert gone[label] >= (rows > 2)


@given(labels=LABELS, texts=st.integers(1, 60), share=SHARES, seed=SEEDS)
@settings(deadline=None)
def test_equal_texts_are_never_parted(
    labels: list[str], texts: int, share: float, seed: int
) -> None:
    keys = [(i * i) % texts for i in range(len(labels))]
    gone = set(carve(labels, keys, share, seed))
    assert not {keys[i] for i in gone} & {keys[i] for i in range(len(keys)) if i not in gone}
    kept = {labels[i] for i in range(len(keys)) if i not in gone}
    assert kept == set(labels)
    one, other = part(labels, keys, seed, parts=2)
    assert sorted([*one, *other]) == list(range(len(labels)))
    assert not {keys[i] for i in one} & {keys[i] for i in other}


@given(labels=LABELS, seed=SEEDS)
@settings(deadline=None)
def test_parts_differ_by_at_most_one_row_a_class(labels: list[str], seed: int) -> None:
    one, other = part(labels, range(len(labels)), seed, parts=2)
    assert abs(len(one) - len(other)) <= 1
    for label in set(labels):
        assert abs(sum(labels[i] == label for i in one) - labels.count(label) / 2) <= 0.5


@given(labels=LABELS, rows=st.integers(1, 220), seed=SEEDS)
@settings(deadline=None)
def test_a_sample_has_its_size_and_two_rows_of_each_class(
    labels: list[str], rows: int, seed: int
) -> None:
    counts = Counter(labels)
    least = sum(min(2, count) for count in counts.values())
    if rows < min(least, len(labels)):
        with pytest.raises(ValueError, match="too few"):
            sample(labels, rows, seed)
        return
    chosen = sample(labels, rows, seed)
    assert len(chosen) == len(set(chosen)) == min(rows, len(labels))
    kept = Counter(labels[i] for i in chosen)
    for label, count in counts.items():
        assert kept[label] >= min(2, count)
        assert kept[label] <= max(2, rows * count / len(labels) + 1)


@given(labels=LABELS, share=SHARES, seed=SEEDS)
@settings(deadline=None)
def test_equal_seeds_give_equal_splits(labels: list[str], share: float, seed: int) -> None:
    keys = range(len(labels))
    assert carve(labels, keys, share, seed) == carve(labels, keys, share, seed)
    assert part(labels, keys, seed, parts=2) == part(labels, keys, seed, parts=2)


def test_another_seed_gives_another_split() -> None:
    labels = ["a", "b"] * 100
    assert carve(labels, range(200), 0.1, 1) != carve(labels, range(200), 0.1, 2)


def test_a_fixed_text_stays() -> None:
    labels = ["a", "b"] * 10
    assert not set(carve(labels, range(20), 0.5, 1, fixed=range(10))) & set(range(10))
