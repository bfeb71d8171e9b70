"""What is in the data of a search, counted: classes, lengths, repeats and leaks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

import numpy as np

from toprung.data.labels import classes_of, sorted_names
from toprung.data.load import Tables, load_tables
from toprung.data.rows import Table
from toprung.data.source import DataSource

CountTokens = Callable[[Sequence[str]], Sequence[int]]


@dataclass(frozen=True)
class Lengths:
    """Lengths of a split's texts.

    Attributes:
        unit: ``words`` or ``tokens``.
        truncated: share of texts longer than the maximum length; None where there is none.
    """

    unit: str
    median: float
    percentile_95: float
    longest: int
    truncated: float | None = None


@dataclass(frozen=True)
class SplitReport:
    """One split's rows, counted.

    Attributes:
        rows: how many.
        classes: rows of each class of train, in the order of the label names.
        lengths: in words, and in tokens where they were counted.
        duplicates: rows that repeat an earlier text of the same split.
    """

    rows: int
    classes: dict[str, int]
    lengths: tuple[Lengths, ...]
    duplicates: int


@dataclass(frozen=True)
class DataReport:
    """What ``toprung data`` shows.

    Attributes:
        label_names: the classes.
        splits: ``train``, ``validation``, ``test``, and ``extra`` where ``train_rows`` left some.
        leaks: rows of the first split that stand in the second too, as (first, second, rows).
        max_length: tokens that a text is cut to; None where it is not known.
        notes: counted warnings in words.
    """

    label_names: tuple[str, ...]
    splits: dict[str, SplitReport]
    leaks: tuple[tuple[str, str, int], ...]
    max_length: int | None
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The report as JSON values."""
        value = asdict(self)
        value["leaks"] = [
            {"split": split, "inside": inside, "rows": rows} for split, inside, rows in self.leaks
        ]
        for name in ("label_names", "notes"):
            value[name] = list(value[name])
        for split in value["splits"].values():
            split["lengths"] = list(split["lengths"])
        return value

    def lines(self, classes: int = 30) -> list[str]:
        """The report for people, as aligned lines.

        Args:
            classes: how many classes are shown, the largest first; the rest are summed up.
        """
        names = list(self.splits)
        head = [["", *names], ["rows", *(f"{self.splits[n].rows:,}" for n in names)]]
        body = [
            *self._length_rows(),
            ["duplicates", *(f"{self.splits[n].duplicates:,}" for n in names)],
        ]
        table = _aligned([*head, *self._class_rows(classes), *body])
        leaks = [
            f"{rows:,} rows of {split} stand in {inside} too" for split, inside, rows in self.leaks
        ]
        shown = ["leaks       " + (leaks[0] if leaks else "none between the splits")]
        shown += [f"            {leak}" for leak in leaks[1:]]
        return [*table, *shown, *(f"note: {note}" for note in self.notes)]

    def _class_rows(self, shown: int) -> list[list[str]]:
        names = list(self.splits)
        if not self.label_names:
            return []
        train = self.splits["train"].classes
        ranked = sorted(self.label_names, key=lambda name: -train[name])
        rows = [["classes", *(str(len(self.label_names)) for _ in names[:1])]]
        rows[0] += [str(sum(c > 0 for c in self.splits[n].classes.values())) for n in names[1:]]
        parts = [(f"  {label}", [label]) for label in ranked[:shown]]
        if ranked[shown:]:
            parts.append((f"  … {len(ranked) - shown} more", ranked[shown:]))
        for title, labels in parts:
            counts = [sum(self.splits[n].classes[label] for label in labels) for n in names]
            shares = [c / max(1, self.splits[n].rows) for c, n in zip(counts, names, strict=True)]
            cells = [f"{c:,} {s:6.1%}" for c, s in zip(counts, shares, strict=True)]
            rows.append([title if len(title) <= 40 else title[:39] + "…", *cells])
        return rows

    def _length_rows(self) -> list[list[str]]:
        rows = []
        splits = list(self.splits.values())
        for at, unit in enumerate([lengths.unit for lengths in splits[0].lengths]):
            each = [split.lengths[at] for split in splits]
            rows.append([unit])
            rows.append(["  median", *(f"{x.median:,.0f}" for x in each)])
            rows.append(["  95 %", *(f"{x.percentile_95:,.0f}" for x in each)])
            rows.append(["  longest", *(f"{x.longest:,}" for x in each)])
            if each[0].truncated is not None:
                title = f"  over {self.max_length}"
                rows.append([title, *(f"{x.truncated or 0.0:.1%}" for x in each)])
        return rows


def check_dataset(
    source: DataSource,
    seed: int,
    count_tokens: CountTokens | None = None,
    max_length: int | None = None,
) -> DataReport:
    """Counts what a search with this source and seed would use.

    Args:
        source: where the rows lie.
        seed: of the search.
        count_tokens: from texts to their numbers of tokens, special ones included.
        max_length: tokens that a text is cut to.

    Raises:
        FixData: what ``load_dataset`` would raise for the same source.
        FixEnvironment: likewise.
    """
    tables = load_tables(source, seed)
    written = tables.splits["train"].written
    names = () if written else sorted_names(tables.splits["train"].classes())
    order = [s for s in ("train", "validation", "test", "extra") if len(tables.splits[s])]
    splits: dict[str, SplitReport] = {}
    for split in order:
        table = tables.splits[split]
        counts = Counter(n for label in table.labels for n in classes_of(label) if names)
        splits[split] = SplitReport(
            rows=len(table),
            classes={name: counts[name] for name in names},
            lengths=(*_lengths(table, count_tokens, max_length), *_written(table)),
            duplicates=tables.repeats.duplicates(table),
        )
    return DataReport(names, splits, _leaks(tables, order), max_length, tables.notes)


def _lengths(
    table: Table, count_tokens: CountTokens | None, max_length: int | None
) -> tuple[Lengths, ...]:
    words = [len(text.split()) for text in table.texts]
    found = [_summary("words", words, None)]
    if count_tokens is not None:
        found.append(_summary("tokens", count_tokens(table.texts), max_length))
    return tuple(found)


def _written(table: Table) -> tuple[Lengths, ...]:
    """Of summaries, those of the first reference of each row."""
    if not table.written:
        return ()
    words = [len(classes_of(label)[0].split()) for label in table.labels]
    return (_summary("words of the summary", words, None),)


def _summary(unit: str, counts: Sequence[int], limit: int | None) -> Lengths:
    values = np.asarray(counts)
    median, high = (float(value) for value in np.percentile(values, [50, 95]))
    truncated = None if limit is None else float((values > limit).mean())
    return Lengths(unit, median, high, int(values.max()), truncated)


def _leaks(tables: Tables, order: Sequence[str]) -> tuple[tuple[str, str, int], ...]:
    found = []
    for split, inside in product(("test", "validation"), ("train", "validation", "extra")):
        if split != inside and split in order and inside in order:
            leak = tables.repeats.leak(tables.splits[split], tables.splits[inside])
            if leak is not None:
                found.append((split, inside, leak.rows))
    return tuple(found)


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of cells in columns: the first to the left, the others to the right."""
    width = max(map(len, rows))
    full = [[*row, *[""] * (width - len(row))] for row in rows]
    widths = [max(len(row[at]) for row in full) for at in range(width)]
    lines = []
    for row in full:
        others = [cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True)]
        lines.append("  ".join([row[0].ljust(max(10, widths[0])), *others]).rstrip())
    return lines
