"""The report's section on data: rows, classes and lengths of each split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from toprung.data.dataset import Dataset, Split
from toprung.data.repeats import text_key
from toprung.judge.report.charts.ensemble import draw_lengths, draw_shares
from toprung.judge.report.markdown import code, escape, table
from toprung.judge.report.parts import Part

_MOST_CLASSES = 20


def tell_data(dataset: Dataset, *, truncated: tuple[str, float, int] | None = None) -> list[Part]:
    """Parts of the section.

    Args:
        dataset: of the search.
        truncated: a trial, the share of the training texts that reach its longest length, and
            that length in tokens; None where unknown.
    """
    splits = {name: split for name, split in dataset.splits.items() if len(split)}
    if dataset.task.reads == "series":
        return _tell_windows(dataset)
    if dataset.task.answers == "texts":
        return _tell_pairs(dataset)
    rows = []
    for name, split in splits.items():
        words = np.array([len(text.split()) for text in split.texts])
        middle, high = np.percentile(words, [50, 95])
        classes = int(dataset.task.marks(split.labels, dataset.classes).any(axis=0).sum())
        cells = (len(split), classes, f"{middle:.0f}", f"{high:.0f}", words.max())
        rows.append([code(name), *(f"{c:,}" if not isinstance(c, str) else c for c in cells)])
    header = ["split", "rows", "classes", "words, median", "95th percentile", "longest"]
    said = _say_repeats(splits)
    said += [_say_truncated(*truncated).removeprefix("- ")] if truncated is not None else []
    return _tell_table(dataset, table(header, rows, numbers=5), said)


def _tell_pairs(dataset: Dataset) -> list[Part]:
    """Of texts and the shorter ones that are written for them."""
    rows = []
    for name, split in dataset.splits.items():
        if not len(split):
            continue
        source = np.array([len(text.split()) for text in split.texts])
        target = np.array([len(one.split()) for many in split.labels for one in many])
        references = sum(len(many) for many in split.labels)
        cells = [f"{len(split):,}", f"{references:,}"]
        for words in (source, target):
            middle, high = np.percentile(words, [50, 95])
            cells += [f"{middle:.0f}", f"{high:.0f}"]
        rows.append([code(name), *cells])
    task = dataset.task
    own, short = escape(task.text_column), escape(task.label_column)
    header = ["split", "rows", "references"]
    header += [f"words of the {what}, {n}" for what in (own, short) for n in ("median", "95 %")]
    return [
        "## Data",
        "",
        f"The SHA-256 of the data begins with {code(dataset.sha256[:16])}.",
        "",
        *table(header, rows, numbers=len(header) - 1),
        *(f"- {escape(note)}" for note in dataset.notes),
        *([""] if dataset.notes else []),
    ]


def _tell_windows(dataset: Dataset) -> list[Part]:
    rows = []
    for name, split in dataset.splits.items():
        if len(split) and split.series is not None:
            shapes = [f"{steps} × {channels}" for steps, channels in split.series.shapes.values()]
            classes = int(dataset.task.marks(split.labels, dataset.classes).any(axis=0).sum())
            rows.append([code(name), f"{len(split):,}", f"{classes:,}", *shapes])
    train = dataset.splits["train"].series
    assert train is not None
    names = [f"{escape(name)}, steps × channels" for name in train.arrays]
    header = ["split", "windows", "classes", *names]
    return _tell_table(dataset, table(header, rows, numbers=len(header) - 1))


def _tell_table(
    dataset: Dataset, lines: list[str], said_of_texts: Sequence[str] = ()
) -> list[Part]:
    splits = {name: split for name, split in dataset.splits.items() if len(split)}
    return [
        "## Data",
        "",
        f"{dataset.classes} classes. The SHA-256 of the data begins with "
        f"{code(dataset.sha256[:16])}.",
        "",
        *lines,
        *(f"- {said}" for said in _say_arithmetic(splits, dataset)),
        *(f"- {said}" for said in said_of_texts),
        "",
        *_draw(splits, dataset),
        *_tell_classes(dataset),
        *(f"- {escape(note)}" for note in dataset.notes),
        *([""] if dataset.notes else []),
    ]


def _say_arithmetic(splits: Mapping[str, Split], dataset: Dataset) -> list[str]:
    """Sentences that hold, each checked before it is said."""
    said = []
    each = {n: dataset.task.marks(s.labels, dataset.classes) for n, s in splits.items()}
    total = sum(len(split) for split in splits.values())
    added = " + ".join(f"{len(split):,}" for split in splits.values())
    if len(splits) > 1:
        said.append(f"The splits have {total:,} rows together: {added}.")
    if all(len(marks) == int(marks.sum()) for marks in each.values()):
        shares = {n: float((m.sum(axis=0) / len(m)).sum()) for n, m in each.items()}
        if all(abs(share - 1) < 1e-9 for share in shares.values()):
            said.append(
                "Checked: in every split the rows of all classes add up to its rows, and their "
                "shares to 1."
            )
    else:
        marks = np.concatenate(list(each.values()))
        labels = marks.sum(axis=1)
        said.append(
            f"A row has {labels.mean():.2f} labels on average; {(labels > 1).mean():.1%} of the "
            f"rows have several and {(labels == 0).mean():.1%} none, so shares do not add up to 1."
        )
    return said


def _say_repeats(splits: Mapping[str, Split]) -> list[str]:
    """Texts that stand in more than one place, letters and digits compared, case aside."""
    keys = {name: [text_key(text) for text in split.texts] for name, split in splits.items()}
    said = []
    inside = {name: len(found) - len(set(found)) for name, found in keys.items()}
    told = ", ".join(f"{count:,} in {code(name)}" for name, count in inside.items() if count)
    said.append(f"Rows that repeat an earlier text of their split: {told or 'none'}.")
    if {"train", "test"} <= keys.keys():
        held = [name for name in keys if name not in ("train", "extra")]
        train = set(keys["train"])
        leaks = {name: sum(key in train for key in keys[name]) for name in held}
        told = ", ".join(f"{count:,} of {code(name)}" for name, count in leaks.items() if count)
        said.append(f"Held-out rows whose text stands in `train` too: {told or 'none'}.")
    return said


def _say_truncated(trial: str, share: float, limit: int) -> str:
    return (
        f"- Of the training texts {share:.1%} reach the {limit:,} tokens that {code(trial)} reads; "
        "longer ones are cut."
    )


def _draw(splits: Mapping[str, Split], dataset: Dataset) -> list[Part]:
    """Class shares of train, and the lengths of train and test."""
    figures: list[Part] = []
    train = splits.get("train")
    if train is not None:
        counts = dataset.task.marks(train.labels, dataset.classes).sum(axis=0)
        figures.append(draw_shares(dataset.label_names, counts, len(train)))
    lengths = {
        name: np.array([len(text.split()) for text in splits[name].texts], dtype=np.int64)
        for name in ("train", "test")
        if name in splits and splits[name].texts
    }
    return [*figures, draw_lengths(lengths)] if lengths else figures


def _tell_classes(dataset: Dataset) -> list[str]:
    splits = {name: split for name, split in dataset.splits.items() if len(split)}
    counts = {
        name: dataset.task.marks(split.labels, dataset.classes).sum(axis=0)
        for name, split in splits.items()
    }
    if "train" not in counts:
        return []
    order = [int(i) for i in np.argsort(-counts["train"], kind="stable")]
    total = len(splits["train"])
    lines: list[str] = []
    shown = order
    if len(order) > _MOST_CLASSES:
        half = _MOST_CLASSES // 2
        shown = [*order[:half], *order[-half:]]
        lines = [f"The {half} most frequent and the {half} rarest of {len(order)} classes:", ""]
    body = [
        [
            escape(dataset.label_names[i]),
            f"{counts['train'][i] / total:.1%}",
            *(f"{count[i]:,}" for count in counts.values()),
        ]
        for i in shown
    ]
    header = ["class", "share of train", *(f"rows in {name}" for name in counts)]
    return [*lines, *table(header, body, numbers=len(counts) + 1)]
