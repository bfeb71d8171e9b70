"""Charts of the test split: contenders, confusion, classes, curves, calibration, thresholds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from toprung.judge.mistakes import Band
from toprung.judge.reliability import ClassCurve, Reliability, ThresholdCurve
from toprung.judge.report.charts._canvas import ACCENT, INK, LINE, MUTED, WARN, sheet, short
from toprung.judge.report.parts import Figure
from toprung.judge.verdicts import Verdicts

MOST_CELLS = 30
_MOST_THRESHOLDS = 12
_FAR = "majority"


def draw_contenders(verdicts: Verdicts) -> Figure:
    """The metric of everyone with its interval."""
    name, who = verdicts.metric.name, [one.who for one in verdicts.contenders][::-1]
    left_out = ""
    if _FAR in who and len(who) > 2:
        who.remove(_FAR)
        left_out = f" {_FAR}, at {verdicts.intervals[_FAR].value:.4f}, is not drawn."
    caption = (
        f"{name} on the {len(verdicts.labels):,} test rows with 95 % bootstrap intervals. "
        "Intervals that do not overlap differ by more than chance; the table of gains, which "
        f"compares row by row, sees smaller differences.{left_out}"
    )
    with sheet("Who did best", caption, height=0.7 + 0.36 * len(who)) as made:
        axes = made.axes()
        for y, one in enumerate(who):
            found = verdicts.intervals[one]
            colour = ACCENT if one == verdicts.first.who else MUTED
            axes.plot([found.low, found.high], [y, y], color=colour, linewidth=2.2)
            axes.plot([found.value], [y], "o", color=colour, markersize=6)
            label = f"{found.value:.4f}"
            axes.annotate(
                label, (found.value, y), (0, 6), textcoords="offset points", ha="center", color=INK
            )
        axes.set_yticks(range(len(who)), [short(one.replace("_", " ")) for one in who])
        axes.tick_params(axis="y", labelcolor=INK)
        axes.set_ylim(-0.6, len(who) - 0.35)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel(name)
        axes.margins(x=0.08)
    return made.done


def draw_confusion(matrix: NDArray[np.int64], names: Sequence[str]) -> Figure:
    """(C, C) rows by actual and predicted class, shaded by the share of the actual class."""
    count = len(names)
    wide = count > 8
    caption = (
        "Actual classes are rows, predicted ones columns; shading is the share of the actual "
        "class. What lies off the diagonal is wrong."
    )
    height = 3.1 if not wide else min(8.2, 1.8 + 0.27 * count)
    with sheet("Confusion", caption, height=height, wide=wide) as made:
        axes = made.axes()
        shares = matrix / np.maximum(1, matrix.sum(axis=1, keepdims=True))
        for i, j in zip(*np.nonzero(matrix), strict=True):
            share = float(shares[i, j])
            colour = ACCENT if i == j else WARN
            axes.add_patch(
                Rectangle((j, i), 1, 1, facecolor=colour, alpha=0.1 + 0.75 * share, linewidth=0)
            )
            if count <= 20:
                axes.text(
                    j + 0.5, i + 0.5, f"{matrix[i, j]:,}", ha="center", va="center",
                    color=INK, fontsize=7.5,
                )  # fmt: skip
        labels = [short(name, 18) for name in names]
        turn = 0 if count <= 4 else 45
        axes.set_xticks(
            np.arange(count) + 0.5, labels, rotation=turn, ha="right" if turn else "center"
        )
        axes.set_yticks(np.arange(count) + 0.5, labels)
        axes.set_xlim(0, count)
        axes.set_ylim(count, 0)
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
        axes.set_xlabel("predicted")
        axes.set_ylabel("actual")
    return made.done


def draw_classes(names: Sequence[str], f1: Sequence[float], support: Sequence[float]) -> Figure:
    """F1 of each class, the worst first; of very many the twenty worst."""
    order = sorted(range(len(names)), key=lambda c: (f1[c], names[c]))
    shown = order[:20][::-1]
    some = f"The 20 worst of {len(names)} classes." if len(order) > 20 else "The worst at the top."
    caption = f"F1 of each class by the ensemble, with its number of test rows. {some}"
    # The worst class stands on top.
    with sheet("Classes", caption, height=0.75 + 0.21 * len(shown)) as made:
        axes = made.axes()
        values = [f1[c] for c in shown]
        worst = min(values)
        axes.hlines(range(len(shown)), 0, values, color=LINE, linewidth=1.2)
        axes.plot(values, range(len(shown)), "o", color=ACCENT, markersize=5)
        for y, c in enumerate(shown):
            axes.annotate(
                f"{f1[c]:.3f}  ·  {support[c]:,.0f}", (f1[c], y), (7, 0),
                textcoords="offset points", va="center", color=MUTED, fontsize=7,
            )  # fmt: skip
        axes.set_yticks(range(len(shown)), [short(names[c]) for c in shown])
        axes.tick_params(axis="y", labelcolor=INK)
        low = max(0.0, worst - 0.15)
        axes.set_xlim(low, 1.0 + 0.22 * (1 - low))
        axes.set_xticks([tick for tick in axes.get_xticks() if low <= tick <= 1.0 + 1e-9])
        axes.set_xlim(low, 1.0 + 0.22 * (1 - low))
        axes.grid(visible=False, axis="y")
        axes.set_xlabel("F1")
    return made.done


def draw_curves(curves: Sequence[ClassCurve]) -> list[Figure]:
    """ROC and precision-recall; of several classes each thin, and their mean."""
    several = len(curves) > 1
    who = "each class against the others, thin, and their mean" if several else curves[0].name
    auc = float(np.mean([curve.auc for curve in curves]))
    precision = float(np.mean([curve.average_precision for curve in curves]))
    mean = "mean " if several else ""
    plots = [
        ("ROC curve", f"Of {who}. The {mean}area is {auc:.4f}; the diagonal is guessing.",
         "false positive rate", "true positive rate"),
        ("Precision and recall", f"Of {who}. The {mean}average precision is {precision:.4f}.",
         "recall", "precision"),
    ]  # fmt: skip
    figures = []
    for place, (title, caption, x_label, y_label) in enumerate(plots):
        with sheet(title, caption) as made:
            axes = made.axes()
            lines = [
                (c.false_positives, c.true_positives) if place == 0 else (c.recall, c.precision)
                for c in curves
            ]
            if place == 0:
                axes.plot([0, 1], [0, 1], color=LINE, linestyle="--", linewidth=1)
            if several:
                for x, y in lines[:60]:
                    axes.plot(x, y, color=MUTED, linewidth=0.6, alpha=0.5)
            axes.plot(
                lines[0][0], np.mean([y for _, y in lines], axis=0), color=ACCENT, linewidth=2
            )
            axes.set(xlabel=x_label, ylabel=y_label, xlim=(-0.01, 1.01), ylim=(0, 1.02))
        figures.append(made.done)
    return figures


def draw_reliability(before: Reliability, after: Reliability) -> Figure:
    """Confidence against accuracy, before and after the temperature."""
    caption = (
        "Confidence against accuracy on the test split; on the diagonal confidence is honest, "
        "below it the ensemble promises too much. Larger dots hold more rows."
    )
    with sheet("Reliability", caption, height=3.1) as made:
        axes = made.axes()
        axes.plot([0, 1], [0, 1], color=LINE, linestyle="--", linewidth=1)
        named = ((before, MUTED, "before"), (after, ACCENT, "after the temperature"))
        for found, colour, label in named:
            said = f"{label}: ECE {found.error:.4f}"
            x, y = found.confidence, found.accuracy
            axes.plot(x, y, color=colour, linewidth=1.2, alpha=0.8, label=said)
            axes.scatter(x, y, s=10 + 90 * found.rows / found.rows.max(), color=colour)
        least = min(before.confidence.min(), after.confidence.min())
        low = max(0.0, float(least) - 0.05)
        axes.set(xlabel="confidence", ylabel="accuracy", xlim=(low, 1.02), ylim=(0, 1.05))
        axes.legend(loc="lower right")
    return made.done


def draw_thresholds(curves: Sequence[ThresholdCurve]) -> Figure:
    """F1, precision and recall of each class over its threshold."""
    shown = curves[:_MOST_THRESHOLDS]
    more = f" The first {len(shown)} of {len(curves)} classes." if len(shown) < len(curves) else ""
    caption = (
        "F1 on the test split over each class's threshold, precision and recall thin; the mark "
        f"is the threshold that was fitted on other rows.{more}"
    )
    columns = 4
    rows = -(-len(shown) // columns)
    with sheet("Thresholds", caption, height=0.5 + 1.65 * rows, wide=True) as made:
        grid = made.drawing.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for axes, curve in zip(grid.flat, shown, strict=False):
            axes.plot(curve.grid, curve.precision, color=MUTED, linewidth=0.8, linestyle=":")
            axes.plot(curve.grid, curve.recall, color=MUTED, linewidth=0.8)
            axes.plot(curve.grid, curve.f1, color=ACCENT)
            at = float(np.interp(curve.chosen, curve.grid, curve.f1))
            axes.plot([curve.chosen], [at], "o", color=ACCENT, markersize=5)
            axes.set_title(short(curve.name), fontsize=8.5, color=INK)
            axes.set(xlim=(0, 1), ylim=(0, 1.02))
        for axes in list(grid.flat)[len(shown) :]:
            axes.set_visible(False)
    return made.done


def draw_bands(bands: Sequence[Band], overall: float) -> Figure:
    """The share of wrong rows by length, with intervals."""
    caption = (
        "Share of wrong rows by length in words, with 95 % intervals; the dashed line is the share "
        "over all rows."
    )
    with sheet("Errors by length", caption) as made:
        axes = made.axes()
        axes.axhline(overall, color=MUTED, linestyle="--", linewidth=1)
        for x, band in enumerate(bands):
            axes.plot([x, x], band.interval, color=ACCENT, linewidth=2)
            axes.plot([x], [band.share], "o", color=ACCENT, markersize=6)
        labels = [f"{b.low}–{b.high}" if b.low < b.high else str(b.low) for b in bands]
        axes.set_xticks(range(len(bands)), labels)
        axes.set(xlabel="words", ylabel="wrong", xlim=(-0.5, len(bands) - 0.5))
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axes.yaxis.set_major_locator(MaxNLocator(5))
        axes.grid(visible=False, axis="x")
    return made.done
