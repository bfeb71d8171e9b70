"""The report's sections on the test split: contenders, confusion, single classes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from toprung.judge.counts import ClassCounts, count_classes
from toprung.judge.report.markdown import code, escape, table
from toprung.judge.sentences import bounds, duration, say_verdicts
from toprung.judge.verdicts import Verdicts

_FULL_MATRIX = 20
_PAIRS = 20


def tell_results(verdicts: Verdicts) -> list[str]:
    """Lines of the sections."""
    return [
        "## Results on the test split",
        "",
        *(f"- {escape(sentence)}" for sentence in say_verdicts(verdicts)),
        "",
        *_tell_contenders(verdicts),
        *_tell_gains(verdicts),
        *_tell_by_class(verdicts),
    ]


def _tell_by_class(verdicts: Verdicts) -> list[str]:
    if verdicts.task.answers == "texts":
        return []
    confusion = [] if verdicts.task.many else _tell_confusion(verdicts)
    return [*confusion, *_tell_classes(verdicts)]


def _tell_contenders(verdicts: Verdicts) -> list[str]:
    names = list(verdicts.metrics[verdicts.first.who])
    body = [
        [
            code(one.who),
            *(f"{verdicts.metrics[one.who][name]:.4f}" for name in names),
            bounds(verdicts.intervals[one.who]),
            "" if one.seconds is None else duration(one.seconds),
        ]
        for one in verdicts.contenders
    ]
    interval = f"95 % interval of {escape(verdicts.metric.name)}"
    header = ["who", *(escape(name) for name in names), interval, "training"]
    return table(header, body, numbers=len(header) - 1)


def _tell_gains(verdicts: Verdicts) -> list[str]:
    if not verdicts.gains:
        return []
    names = list(verdicts.metrics[verdicts.first.who])
    body = [
        [
            code(other),
            *(f"{gain[name].value:+.4f} ({bounds(gain[name], signed=True)})" for name in names),
        ]
        for other, gain in verdicts.gains.items()
    ]
    return [
        f"Gain of {code(verdicts.first.who)} over each other, with its 95 % interval from 1,000 "
        "paired bootstrap resamples; above 0 is better, also where a metric is to be small:",
        "",
        *table(["over", *(escape(name) for name in names)], body, numbers=len(names)),
    ]


def _tell_confusion(verdicts: Verdicts) -> list[str]:
    names = [escape(name) for name in verdicts.label_names]
    matrix = confusion_matrix(verdicts)
    title = [f"### Confusion of {code(verdicts.first.who)}", ""]
    if len(names) <= _FULL_MATRIX:
        body = [
            [name, *(f"{count:,}" for count in row)]
            for name, row in zip(names, matrix.tolist(), strict=True)
        ]
        return [*title, *table(["actual \\ predicted", *names], body, numbers=len(names))]
    wrong = matrix.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:_PAIRS]
    pairs = [(int(i), int(j)) for i, j in zip(*np.unravel_index(order, wrong.shape), strict=True)]
    body = [
        [names[i], names[j], f"{wrong[i, j]:,}", f"{wrong[i, j] / matrix[i].sum():.1%}"]
        for i, j in pairs
        if wrong[i, j]
    ]
    if not body:
        return [*title, "No row was confused.", ""]
    header = ["actual", "predicted", "rows", "share of actual"]
    return [*title, "The most confused pairs:", "", *table(header, body, numbers=2)]


def _tell_classes(verdicts: Verdicts) -> list[str]:
    if verdicts.task.many:
        return _tell_labels(verdicts)
    predicted = verdicts.first.logits.argmax(axis=1)
    counts = count_classes(verdicts.labels, predicted, len(verdicts.label_names))
    columns = zip(
        verdicts.label_names,
        counts.precision(),
        counts.recall(),
        counts.f1(),
        counts.actual,
        strict=True,
    )
    body = [
        [escape(name), f"{precision:.4f}", f"{recall:.4f}", f"{f1:.4f}", f"{support:,.0f}"]
        for name, precision, recall, f1, support in columns
    ]
    header = ["class", "precision", "recall", "F1", "support"]
    return [
        f"### Classes, by {code(verdicts.first.who)}",
        "",
        *table(header, body, numbers=4),
    ]


def _tell_labels(verdicts: Verdicts) -> list[str]:
    """Each class by itself, at its threshold, and how well its probability ranks the rows."""
    first = verdicts.first
    task, labels = verdicts.task, verdicts.labels
    marks = task.marks(labels, len(verdicts.label_names))
    answered = task.decide(task.probabilities(first.logits), first.thresholds)
    found = (answered & marks, marks, answered)
    counts = ClassCounts(*(part.sum(axis=0).astype(np.float64) for part in found))
    thresholds = np.full(len(verdicts.label_names), 0.5)
    thresholds = thresholds if first.thresholds is None else first.thresholds
    body = []
    for c, name in enumerate(verdicts.label_names):
        both = 0 < counts.actual[c] < len(labels)
        ranks = ["", ""]
        if both:
            area = roc_auc_score(marks[:, c], first.logits[:, c])
            precision = average_precision_score(marks[:, c], first.logits[:, c])
            ranks = [f"{area:.4f}", f"{precision:.4f}"]
        values = (counts.precision()[c], counts.recall()[c], counts.f1()[c])
        body.append(
            [
                escape(name),
                f"{thresholds[c]:.3f}",
                *(f"{value:.4f}" for value in values),
                *ranks,
                f"{counts.actual[c]:,.0f}",
            ]
        )
    header = ["class", "threshold", "precision", "recall", "F1", "AUC", "average precision"]
    return [
        f"### Classes, by {code(first.who)}",
        "",
        *table([*header, "support"], body, numbers=7),
        *_tell_half(verdicts),
    ]


def _tell_half(verdicts: Verdicts) -> list[str]:
    """What the thresholds are worth, against one half for every class."""
    first = verdicts.first
    if first.thresholds is None:
        return []
    metric = "macro_f1"
    own = verdicts.metrics[first.who][metric]
    half = verdicts.task.measure(first.logits, verdicts.labels)[metric]
    return [
        f"With these thresholds, fitted on the split `thresholds`, {code(metric)} is {own:.4f}; "
        f"with 0.5 for every class it would be {half:.4f}.",
        "",
    ]


def confusion_matrix(verdicts: Verdicts) -> NDArray[np.int64]:
    """(C, C) rows of each actual class (first axis) predicted as each class (second axis)."""
    classes = len(verdicts.label_names)
    cells = verdicts.labels * classes + verdicts.first.logits.argmax(axis=1)
    return np.bincount(cells, minlength=classes * classes).reshape(classes, classes)
