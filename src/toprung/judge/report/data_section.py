"""The report's section on data: rows, classes and lengths of each split."""

from __future__ import annotations

import numpy as np

from toprung.data.dataset import Dataset
from toprung.judge.report.markdown import code, escape, table

_MOST_CLASSES = 20


def tell_data(dataset: Dataset) -> list[str]:
    """Lines of the section."""
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
    return _tell_table(dataset, table(header, rows, numbers=5))


def _tell_pairs(dataset: Dataset) -> list[str]:
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
        f"Their SHA-256 begins with {code(dataset.sha256[:16])}.",
        "",
        *table(header, rows, numbers=len(header) - 1),
        *(f"- {escape(note)}" for note in dataset.notes),
        *([""] if dataset.notes else []),
    ]


def _tell_windows(dataset: Dataset) -> list[str]:
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


def _tell_table(dataset: Dataset, lines: list[str]) -> list[str]:
    return [
        "## Data",
        "",
        f"{dataset.classes} classes; their SHA-256 begins with {code(dataset.sha256[:16])}.",
        "",
        *lines,
        *_tell_classes(dataset),
        *(f"- {escape(note)}" for note in dataset.notes),
        *([""] if dataset.notes else []),
    ]


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
