"""Which classes there are, and what is wrong with them."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Sequence

from toprung.core.registry import nearest
from toprung.data.labels import classes_of
from toprung.data.rows import LISTED, Problems, Table, show

_LONGEST = 100


def check_train(train: Table, problems: Problems) -> Table:
    """The rows of train whose class has another row; what is wrong goes to ``problems``.

    A class with a single row is a mistyped label more often than a class: nothing can be
    learned of it and no split can measure it, yet macro averages would count it.
    """
    counts = Counter(name for label in train.labels for name in classes_of(label))
    alone = {label for label, rows in counts.items() if rows == 1}
    many = sorted(set(counts) - alone)
    step = "Correct the label, add rows, or leave it out with data.on_bad_row: skip."
    bad = [
        (
            index,
            f"class '{label}' has 1 row in train, this one; at least 2 are needed. {step} "
            f"{close(label, many)}".strip(),
        )
        for index, row in enumerate(train.labels)
        for label in classes_of(row)
        if label in alone
    ]
    kept = refuse(train, bad, problems)
    for name in sorted(set(train.named) - set(counts)):
        text = f"label '{name}' is never 1 in train. Add rows that have it, or remove it."
        problems.add(train.named[name], text)
    if len(counts) == 1:
        only = next(iter(counts))
        rows = f"{counts[only]:,} row{'s' * (counts[only] > 1)}"
        text = f"one class only, '{only}' ({rows}); at least 2 are needed."
        problems.add(train.split, f"{text} Add rows of another class, or check data.label.")
    elif len(kept.classes()) < 2 and not problems:
        problems.add(train.split, "fewer than 2 classes with at least 2 rows. Add rows.")
    return kept


def check_other(table: Table, known: Sequence[str], problems: Problems) -> Table:
    """The rows of validation or test whose class is in train; others go to ``problems``."""
    names = set(known)
    strange: dict[str, list[int]] = {}
    for index, row in enumerate(table.labels):
        for label in classes_of(row):
            if label not in names:
                strange.setdefault(label, []).append(index)
    bad: list[tuple[int, str]] = []
    for label, rows in strange.items():
        many = f" ({len(rows):,} rows)" if len(rows) > 1 else ""
        # Only so many are told, and looking for the closest among many classes takes its time.
        hint = close(label, known) if len(bad) < LISTED else ""
        text = f"label {show(label)}{many} never stands in train. {hint}"
        bad.append((rows[0], f"{text} Correct it, or add rows of it to train."))
    if problems.skip_rows:
        bad = [(i, "") for rows in strange.values() for i in rows]
    return refuse(table, bad, problems)


def refuse(table: Table, bad: Sequence[tuple[int, str]], problems: Problems) -> Table:
    """The table without the bad rows, which are told, or counted where they are skipped."""
    if not bad:
        return table
    if problems.skip_rows:
        problems.skipped += len(bad)
        gone = {index for index, _ in bad}
        return table.keep(i for i in range(len(table)) if i not in gone)
    for index, text in bad[:LISTED]:
        problems.add(table.place(index), text)
    if len(bad) > LISTED:
        problems.add(table.split, f"… and {len(bad) - LISTED:,} more.")
    return table


def close(name: str, known: Sequence[str]) -> str:
    """The hint of the nearest class; of many classes only the ten closest are told.

    >>> close("refnd", ["login", "refund"])
    "Did you mean 'refund'? Known: login, refund."
    """
    few = list(known)
    if len(few) > LISTED:
        short = [one for one in few if len(one) <= _LONGEST] if len(name) <= _LONGEST else []
        closest = difflib.get_close_matches(name, short, n=10, cutoff=0.0) or few[:10]
        few = [*closest, f"… ({len(known)} in all)"]
    return nearest(name, few) if few else ""
