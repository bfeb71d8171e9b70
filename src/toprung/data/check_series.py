"""The windows of a search, counted: classes, modalities, repeats and leaks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np

from toprung.data.check import DataReport, SplitReport
from toprung.data.load_series import count_leaks, load_archives
from toprung.data.source import DataSource


def check_series(source: DataSource, seed: int) -> DataReport:
    """Counts what a search with this source and seed would use.

    Args:
        source: where the windows lie.
        seed: of the search.

    Raises:
        FixData: what ``load_series`` would raise for the same source.
    """
    archives = load_archives(source, seed)
    order = [
        split
        for split in ("train", "validation", "test", "extra")
        if len(archives.splits[split].labels)
    ]
    splits: dict[str, SplitReport] = {}
    for split in order:
        windows, keys = archives.splits[split], archives.keys[split]
        counts = np.bincount(windows.labels, minlength=len(windows.label_names))
        splits[split] = SplitReport(
            rows=len(windows.labels),
            classes=dict(zip(windows.label_names, counts.tolist(), strict=True)),
            lengths=(),
            duplicates=len(keys) - len(set(keys)),
        )
    names = archives.splits["train"].label_names
    return DataReport(names, splits, _leaks(archives.keys, order), None, archives.notes)


def _leaks(
    keys: Mapping[str, Sequence[bytes]], order: Sequence[str]
) -> tuple[tuple[str, str, int], ...]:
    found = []
    for split, inside in product(("test", "validation"), ("train", "validation", "extra")):
        if split != inside and split in order and inside in order:
            rows = count_leaks(keys[split], keys[inside])
            if rows:
                found.append((split, inside, rows))
    return tuple(found)
