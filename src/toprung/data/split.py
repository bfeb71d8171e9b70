"""Seeded stratified splits that never part equal texts."""

from __future__ import annotations

import random
from collections.abc import Collection, Hashable, Sequence

from toprung.core.seeds import derive_seed

LEAST_LEFT = 2


def carve(
    labels: Sequence[str],
    keys: Sequence[Hashable],
    share: float,
    seed: int,
    *,
    fixed: Collection[Hashable] = (),
) -> list[int]:
    """The rows that leave for another split, ascending: a share of each class.

    Of a class with n rows of distinct texts, within one row of ``share * n`` leave, at least
    one; of a class with fewer than three texts none. Two rows of it always stay. Rows of equal
    keys go together, so a class with many repeats may give less; where they stand under several
    labels they stay.

    Args:
        labels: class of each row.
        keys: equal for rows that must not be parted.
        share: above 0, at most 0.5.
        seed: of the choice.
        fixed: keys that stay.

    >>> carve(["a"] * 10 + ["b"] * 2, range(12), 0.2, seed=1)
    [5, 7]
    """
    leave: list[int] = []
    for groups in _by_class(labels, keys, seed).values():
        rows = sum(map(len, groups))
        if len(groups) <= LEAST_LEFT:
            continue
        wanted = min(rows - LEAST_LEFT, max(1, round(share * rows)))
        taken, left = 0, len(groups)
        for group in groups:
            fits = taken + len(group) <= wanted and left > LEAST_LEFT
            if fits and keys[group[0]] not in fixed and len({labels[i] for i in group}) == 1:
                leave += group
                taken += len(group)
                left -= 1
    return sorted(leave)


def halve(
    labels: Sequence[str], keys: Sequence[Hashable], seed: int
) -> tuple[list[int], list[int]]:
    """Two halves of all rows, each ascending: of every class as many in one as in the other.

    A row that is over goes to the half that is smaller so far; rows of equal keys go together.

    >>> halve(["a", "a", "b"], [0, 1, 2], seed=1)
    ([1, 2], [0])
    """
    halves: tuple[list[int], list[int]] = ([], [])
    for groups in _by_class(labels, keys, seed).values():
        counts = [0, 0]
        for group in sorted(groups, key=len, reverse=True):
            side = min((0, 1), key=lambda s: (counts[s], len(halves[s]), s))
            halves[side].extend(group)
            counts[side] += len(group)
    return sorted(halves[0]), sorted(halves[1])


def sample(labels: Sequence[str], rows: int, seed: int) -> list[int]:
    """A number of rows, ascending: each class by its share, but two of each at least.

    Args:
        labels: class of each row.
        rows: how many; all where that is no fewer than there are.
        seed: of the choice.

    Raises:
        ValueError: too few rows for two of each class; the message gives the least number.

    >>> [["a", "b"][i >= 8] for i in sample(["a"] * 8 + ["b"] * 4, 6, seed=1)]
    ['a', 'a', 'a', 'a', 'b', 'b']
    """
    if rows >= len(labels):
        return list(range(len(labels)))
    classes = _by_class(labels, range(len(labels)), seed)
    seats = {label: min(LEAST_LEFT, len(groups)) for label, groups in classes.items()}
    spare = rows - sum(seats.values())
    if spare < 0:
        raise ValueError(
            f"{rows} rows are too few for {LEAST_LEFT} of each of {len(seats)} classes"
        )
    wish = {c: max(0.0, rows * len(g) / len(labels) - seats[c]) for c, g in classes.items()}
    scale = spare / (sum(wish.values()) or 1.0)
    exact = {label: wish[label] * scale for label in wish}
    for label in seats:
        seats[label] += int(exact[label])
    ranked = sorted(seats, key=lambda label: (int(exact[label]) - exact[label], label))
    over = rows - sum(seats.values())
    for label in [c for c in ranked if seats[c] < len(classes[c])][:over]:
        seats[label] += 1
    return sorted(group[0] for c, groups in classes.items() for group in groups[: seats[c]])


def _by_class(
    labels: Sequence[str], keys: Sequence[Hashable], seed: int
) -> dict[str, list[list[int]]]:
    """Groups of rows with equal keys, by class in sorted order, each class's order drawn."""
    groups: dict[Hashable, list[int]] = {}
    for index, key in enumerate(keys):
        groups.setdefault(key, []).append(index)
    classes: dict[str, list[list[int]]] = {}
    for group in groups.values():
        classes.setdefault(labels[group[0]], []).append(group)
    for label, members in classes.items():
        random.Random(derive_seed(seed, "split", label)).shuffle(members)
    return dict(sorted(classes.items()))
