"""Seeded stratified splits that never part equal texts."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection, Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from toprung.core.later import later
from toprung.core.seeds import derive_seed
from toprung.data.labels import classes_of
from toprung.data.tasks._base import Label

LEAST_LEFT = 2

stratifiers = later("iterstrat.ml_stratifiers")


def carve(
    labels: Sequence[Label],
    keys: Sequence[Hashable],
    share: float,
    seed: int,
    *,
    fixed: Collection[Hashable] = (),
) -> list[int]:
    """The rows that leave for another split, ascending: a share of each class.

    Where rows have any number of labels they are spread by iterative stratification: of each
    label a row stays, and the rest of this does not hold.

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
    if _are_many(labels):
        return _carve_many(labels, keys, share, seed, fixed=fixed)
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


def part(
    labels: Sequence[Label], keys: Sequence[Hashable], seed: int, *, parts: int
) -> list[list[int]]:
    """Parts of all rows, each ascending: of every class as many in one as in the others.

    A row that is over goes to the part that is smallest so far; rows of equal keys go together.

    >>> part(["a", "a", "b"], [0, 1, 2], seed=1, parts=2)
    [[1, 2], [0]]
    """
    found: list[list[int]] = [[] for _ in range(parts)]
    if _are_many(labels):
        groups = list(_groups(keys).values())
        sides = _spread(groups, labels, [1 / parts] * parts, seed)
        for group, side in zip(groups, sides, strict=True):
            found[side] += group
        return [sorted(rows) for rows in found]
    for groups in _by_class(labels, keys, seed).values():
        counts = [0] * parts
        for group in sorted(groups, key=len, reverse=True):
            side = min(range(parts), key=lambda s: (counts[s], len(found[s]), s))
            found[side].extend(group)
            counts[side] += len(group)
    return [sorted(rows) for rows in found]


def nested_rows(strata: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """An order of all rows whose every beginning holds each stratum by its share.

    So the first 20,000 rows are all among the first 40,000. Of a stratum's n rows the i-th, in a
    random order, stands at (i + 1/2) / n of the way, so that no beginning has a row more or less
    of it than its share, rounded.

    Args:
        strata: (N,) one whole number a row.
        seed: of the order within each stratum.

    >>> order = nested_rows(np.array([0] * 6 + [1] * 3), seed=1)
    >>> [int((order[:rows] >= 6).sum()) for rows in (3, 6, 9)]
    [1, 2, 3]
    """
    chance = np.random.default_rng(seed)
    place = np.zeros(len(strata))
    for number in np.unique(strata):
        rows = np.flatnonzero(strata == number)
        place[rows[chance.permutation(len(rows))]] = (np.arange(len(rows)) + 0.5) / len(rows)
    return np.argsort(place, kind="stable")


def sample(labels: Sequence[Label], rows: int, seed: int) -> list[int]:
    """A number of rows, ascending: each class by its share, but two of each at least.

    Of rows with any number of labels two of each where so many rows hold them.

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
    if _are_many(labels):
        groups = [[row] for row in range(len(labels))]
        share = rows / len(labels)
        sides = _spread(groups, labels, [share, 1 - share], seed)
        first = [row for side in (0, 1) for row, own in enumerate(sides) if own == side]
        rare = _two_of_each(first, labels)
        return sorted([*rare, *(row for row in first if row not in rare)][:rows])
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


def _two_of_each(order: Sequence[int], labels: Sequence[Label]) -> dict[int, None]:
    """The first rows in an order in which each label stands twice, or as often as it does."""
    counts: Counter[str] = Counter()
    found: dict[int, None] = {}
    for row in order:
        names = classes_of(labels[row])
        if any(counts[name] < LEAST_LEFT for name in names):
            found[row] = None
            counts.update(names)
    return found


def _are_many(labels: Sequence[Label]) -> bool:
    return bool(labels) and not isinstance(labels[0], str)


def _carve_many(
    labels: Sequence[Label],
    keys: Sequence[Hashable],
    share: float,
    seed: int,
    *,
    fixed: Collection[Hashable],
) -> list[int]:
    free = [
        group
        for key, group in _groups(keys).items()
        if key not in fixed and len({labels[row] for row in group}) == 1
    ]
    sides = _spread(free, labels, [share, 1 - share], seed)
    going = [group for group, side in zip(free, sides, strict=True) if not side]
    left = Counter(name for row in labels for name in classes_of(row))
    left.subtract(name for group in going for row in group for name in classes_of(labels[row]))
    leave: list[int] = []
    for group in going:
        names = [name for row in group for name in classes_of(labels[row])]
        if all(left[name] for name in names):
            leave += group
        else:  # the last rows of a label stay, for train says which labels there are
            left.update(names)
    return sorted(leave)


def _spread(
    groups: Sequence[Sequence[int]], labels: Sequence[Label], shares: Sequence[float], seed: int
) -> list[int]:
    """The part that each group of rows goes to, so that every label keeps its share in each.

    Source: Sechidis et al. 2011, "On the Stratification of Multi-Label Data".
    """
    names = sorted({name for row in labels for name in classes_of(row)})
    number = {name: index for index, name in enumerate(names)}
    marks = np.zeros((len(groups), len(names)), dtype=bool)
    for at, group in enumerate(groups):
        for row in group:
            marks[at, [number[name] for name in classes_of(labels[row])]] = True
    chance = np.random.RandomState(derive_seed(seed, "split") % 2**32)
    found = stratifiers.IterativeStratification(marks, np.asarray(shares, dtype=np.float64), chance)
    return [int(side) for side in found]


def _groups(keys: Sequence[Hashable]) -> dict[Hashable, list[int]]:
    """The rows of each key, both in the order of the rows."""
    groups: dict[Hashable, list[int]] = {}
    for index, key in enumerate(keys):
        groups.setdefault(key, []).append(index)
    return groups


def _by_class(
    labels: Sequence[Label], keys: Sequence[Hashable], seed: int
) -> dict[Label, list[list[int]]]:
    """Groups of rows with equal keys, by class in sorted order, each class's order drawn."""
    classes: dict[Label, list[list[int]]] = {}
    for group in _groups(keys).values():
        classes.setdefault(labels[group[0]], []).append(group)
    for label, members in classes.items():
        random.Random(derive_seed(seed, "split", label)).shuffle(members)
    return dict(sorted(classes.items()))
