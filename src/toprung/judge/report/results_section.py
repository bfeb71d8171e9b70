"""The report's sections on the test split: contenders, confusion, single classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from toprung.judge.counts import ClassCounts, count_classes
from toprung.judge.reliability import ClassCurve, class_curves, reliability, threshold_curves
from toprung.judge.report.charts.results import (
    MOST_CELLS,
    draw_classes,
    draw_confusion,
    draw_contenders,
    draw_curves,
    draw_reliability,
    draw_thresholds,
)
from toprung.judge.report.markdown import code, escape, table
from toprung.judge.report.parts import Part
from toprung.judge.sentences import bounds, duration
from toprung.judge.verdicts import ENSEMBLE, Verdicts

_FULL_MATRIX = 20
_PAIRS = 20


def tell_results(verdicts: Verdicts) -> list[Part]:
    """Parts of the section."""
    return [
        "## Results on the test split",
        "",
        draw_contenders(verdicts),
        *_tell_contenders(verdicts),
        *_tell_gains(verdicts),
        *_tell_by_class(verdicts),
    ]


def _tell_by_class(verdicts: Verdicts) -> list[Part]:
    if verdicts.task.answers == "texts":
        return []
    names, task = verdicts.label_names, verdicts.task
    probabilities = task.probabilities(verdicts.first.logits)
    curves = class_curves(probabilities, verdicts.labels, task, names)
    return [
        *([] if verdicts.task.many else _tell_confusion(verdicts)),
        *_tell_classes(verdicts, curves),
        *(draw_curves(curves) if curves else []),
        *_draw_thresholds(verdicts),
    ]


def tell_calibration(verdicts: Verdicts, temperature: float) -> list[Part]:
    """Parts of the section; the first contender is the ensemble after its temperature."""
    task, labels = verdicts.task, verdicts.labels
    logits = np.asarray(verdicts.first.logits, np.float64)
    before = reliability(task.probabilities(logits * temperature), labels, task)
    after = reliability(task.probabilities(logits), labels, task)
    verdict = "helps" if after.error < before.error else "does not help"
    return [
        "## Calibration",
        "",
        f"On the test split the temperature {temperature:.3f}, which was fitted on other rows, "
        f"takes the expected calibration error of {code(verdicts.first.who)} from "
        f"{before.error:.4f} to {after.error:.4f} (15 bins): it {verdict} there.",
        "",
        draw_reliability(before, after),
    ]


def _draw_thresholds(verdicts: Verdicts) -> list[Part]:
    first, task = verdicts.first, verdicts.task
    if not task.many or first.thresholds is None:
        return []
    shares = task.probabilities(first.logits)
    curves = threshold_curves(shares, verdicts.labels, first.thresholds, verdicts.label_names)
    return [draw_thresholds(curves)] if curves else []


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
            escape(name),
            *(
                f"{gain[name].value:+.4f} ({bounds(gain[name], signed=True)})"
                for gain in verdicts.gains.values()
            ),
        ]
        for name in names
    ]
    return [
        f"Gain of {code(verdicts.first.who)} over each other, with its 95 % interval from 1,000 "
        "paired bootstrap resamples; above 0 is better, also where a metric is to be small:",
        "",
        *table(["metric", *map(code, verdicts.gains)], body, numbers=len(verdicts.gains)),
        *_tell_temperature(verdicts, names),
    ]


def _tell_temperature(verdicts: Verdicts, names: Sequence[str]) -> list[str]:
    if verdicts.first.who != ENSEMBLE or "log_loss" not in names:
        return []
    return [
        "Only the ensemble is calibrated by a temperature: what it gains in log_loss is in part "
        "calibration.",
        "",
    ]


def _tell_confusion(verdicts: Verdicts) -> list[Part]:
    names = [escape(name) for name in verdicts.label_names]
    matrix = confusion_matrix(verdicts)
    title: list[Part] = [f"### Confusion of {code(verdicts.first.who)}", ""]
    if len(names) <= _FULL_MATRIX:
        body = [
            [name, *(f"{count:,}" for count in row)]
            for name, row in zip(names, matrix.tolist(), strict=True)
        ]
        head = ["actual \\ predicted", *names]
        drawn = draw_confusion(matrix, verdicts.label_names)
        return [*title, drawn, *table(head, body, numbers=len(names))]
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
    if len(names) <= MOST_CELLS:
        title.append(draw_confusion(matrix, verdicts.label_names))
    return [*title, "The most confused pairs:", "", *table(header, body, numbers=2)]


def _tell_classes(verdicts: Verdicts, curves: Sequence[ClassCurve]) -> list[Part]:
    if verdicts.task.many:
        return _tell_labels(verdicts)
    ranks = {curve.name: (curve.auc, curve.average_precision) for curve in curves}
    ranks = ranks if len(ranks) > 1 else {}
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
        [
            escape(name),
            *(f"{value:.4f}" for value in (precision, recall, f1, *ranks.get(name, ()))),
            *([""] * (0 if name in ranks or not ranks else 2)),
            f"{support:,.0f}",
        ]
        for name, precision, recall, f1, support in columns
    ]
    more = ["AUC", "average precision"] if ranks else []
    header = ["class", "precision", "recall", "F1", *more, "support"]
    return [
        f"### Classes, by {code(verdicts.first.who)}",
        "",
        draw_classes(verdicts.label_names, counts.f1().tolist(), counts.actual.tolist()),
        *table(header, body, numbers=len(header) - 1),
    ]


def _tell_labels(verdicts: Verdicts) -> list[Part]:
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
        draw_classes(verdicts.label_names, counts.f1().tolist(), counts.actual.tolist()),
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
