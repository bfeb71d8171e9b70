"""Charts of the ensemble and of the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from toprung.judge.blends import Growth
from toprung.judge.report.charts._canvas import ACCENT, INK, MUTED, sheet, short
from toprung.judge.report.parts import Figure
from toprung.trial.report import Metric


def draw_growth(growth: Growth, metric: Metric) -> Figure:
    """The metric of the first members together, against each alone."""
    caption = (
        f"{metric.name} on the test split of the first members together, in the order of their "
        "weights, and of each alone (grey)."
    )
    with sheet("Gain by size", caption) as made:
        axes = made.axes()
        x = range(1, len(growth.together) + 1)
        axes.plot(x, growth.alone, "o", color=MUTED, markersize=5)
        axes.plot(x, growth.together, color=ACCENT, marker="o", markersize=5)
        labels = [f"{i}\n{short(name, 10)}" for i, name in zip(x, growth.members, strict=True)]
        axes.set_xticks(list(x), labels)
        axes.set_ylabel(metric.name)
        axes.margins(x=0.1, y=0.15)
        axes.grid(visible=False, axis="x")
    return made.done


def draw_disagreement(growth: Growth) -> Figure:
    """(M, M) shares of the rows that two members answer otherwise."""
    names = growth.members
    caption = (
        "Share of the test rows that two members answer otherwise. Members that are equally good "
        "and disagree much are what an ensemble gains from."
    )
    with sheet("Disagreement", caption) as made:
        axes = made.axes()
        most = max(1e-9, float(growth.disagreement.max()))
        for i in range(len(names)):
            for j in range(len(names)):
                share = float(growth.disagreement[i, j])
                axes.add_patch(
                    Rectangle((j, i), 1, 1, color=ACCENT, alpha=0.65 * share / most, lw=0)
                )
                axes.text(
                    j + 0.5, i + 0.5, f"{share:.1%}" if i != j else "–", ha="center", va="center",
                    fontsize=7.5, color=INK,
                )  # fmt: skip
        ticks = np.arange(len(names)) + 0.5
        axes.set_xticks(ticks, [short(name, 9) for name in names])
        axes.set_yticks(ticks, [short(name, 9) for name in names])
        axes.set(xlim=(0, len(names)), ylim=(len(names), 0))
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
    return made.done


def draw_shares(names: Sequence[str], counts: NDArray[np.int64], rows: int) -> Figure:
    """The share of the training rows that each class has; of many the largest and smallest."""
    order = [int(i) for i in np.argsort(-counts, kind="stable")]
    some = ""
    if len(order) > 20:
        order, some = [*order[:10], *order[-10:]], f" The 10 largest and smallest of {len(names)}."
    shown = order[::-1]
    caption = f"Share of the {rows:,} training rows by class.{some}"
    with sheet("Classes in training", caption, height=0.75 + 0.21 * len(shown)) as made:
        axes = made.axes()
        shares = [counts[c] / rows for c in shown]
        axes.barh(range(len(shown)), shares, color=ACCENT, alpha=0.85, height=0.6)
        for y, c in enumerate(shown):
            axes.annotate(
                f"{shares[y]:.1%}  ·  {counts[c]:,}", (shares[y], y), (4, 0),
                textcoords="offset points", va="center", color=MUTED, fontsize=7,
            )  # fmt: skip
        axes.set_yticks(range(len(shown)), [short(names[c]) for c in shown])
        axes.tick_params(axis="y", labelcolor=INK)
        axes.set_xlim(0, max(shares) * 1.35)
        axes.set_xticks([])
        axes.grid(visible=False)
        axes.spines["bottom"].set_visible(False)
    return made.done


def draw_lengths(lengths: Mapping[str, NDArray[np.int64]]) -> Figure:
    """Lengths of the texts of train and test."""
    caption = (
        "Texts by their length in words, as shares of their split, up to the 99th percentile. "
        "Train and test should lie on each other."
    )
    with sheet("Lengths", caption) as made:
        axes = made.axes()
        top = max(2.0, *(float(np.percentile(found, 99)) for found in lengths.values()))
        edges = np.linspace(0, top, min(31, int(top) + 1))
        for (name, found), colour in zip(lengths.items(), (ACCENT, MUTED), strict=False):
            shares, _ = np.histogram(found, bins=edges)
            axes.stairs(shares / len(found), edges, color=colour, label=name, linewidth=1.5)
        axes.legend(loc="upper right")
        axes.set(xlabel="words", ylabel="share of texts")
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.set_ylim(bottom=0)
        axes.set_xlim(0, top)
    return made.done
