"""Charts of the search: history, rungs, parameters, importance, curves, timeline."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter

from toprung.judge.importance import Importance, encode, varied
from toprung.judge.leaderboard import Row
from toprung.judge.report.charts._canvas import (
    ACCENT,
    INK,
    LINE,
    MUTED,
    PAGE,
    WARN,
    sheet,
    short,
    spread,
)
from toprung.judge.report.parts import Figure
from toprung.judge.timeline import Stretch
from toprung.trial.history import History, TrialRecord
from toprung.trial.report import Metric

_MOST_LINES = 400
_MOST_AXES = 9
_NAMED = 3


def draw_history(rows: Sequence[Row], metric: Metric, baseline: tuple[str, float] | None) -> Figure:
    """Every trial's best score in the order of their numbers, and the best so far."""
    tried = sorted((r for r in rows if r.state != "baseline" and r.score is not None), key=_number)
    scores = [float(row.score or 0.0) for row in tried]
    best = np.maximum.accumulate([metric.score(score) for score in scores])
    above = "" if baseline is None else f" The dashed line is {baseline[0]}."
    caption = (
        f"{metric.name} on the stopping split, a dot a trial in the order of suggestion; larger "
        f"dots were trained longer. The line is the best so far.{above}"
    )
    with sheet("Optimisation history", caption) as made:
        axes = made.axes()
        numbers = np.arange(1, len(tried) + 1)
        most = max(row.resource or 1 for row in tried)
        sizes = [14 + 50 * (row.resource or 0) / most for row in tried]
        axes.scatter(numbers, scores, s=sizes, color=MUTED, alpha=0.55, linewidths=0)
        axes.step(numbers, [metric.value(b) for b in best], where="post", color=ACCENT)
        if baseline is not None:
            axes.axhline(baseline[1], color=WARN, linestyle="--", linewidth=1)
        axes.set(xlabel="trial", ylabel=metric.name)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    return made.done


def draw_rungs(
    records: Sequence[TrialRecord], metric: Metric, ladder: Sequence[int], unit: str
) -> Figure:
    """Each trial's metric at every rung; who went on, and who was cut where."""
    caption = (
        f"A line a trial, from rung to rung: blue ones reached the last rung, grey ones were cut "
        f"where they end (×). Rungs in {unit}."
    )
    with sheet("Rungs", caption, height=3.4, wide=True) as made:
        axes = made.axes()
        tops: list[tuple[str, float]] = []
        every: list[float] = []
        for record in records[:_MOST_LINES]:
            at = {r.resource: r.metrics[metric.name] for r in record.usable(metric)}
            points = [(i, at[rung]) for i, rung in enumerate(ladder) if rung in at]
            if not points:
                continue
            top = points[-1][0] == len(ladder) - 1
            x, y = [p[0] for p in points], [p[1] for p in points]
            every += y
            colour = ACCENT if top else MUTED
            axes.plot(x, y, color=colour, linewidth=1.5 if top else 0.9, alpha=1 if top else 0.6)
            mark = "o" if top else "x"
            axes.plot(x[-1:], y[-1:], mark, color=colour, markersize=5, markeredgewidth=1.3)
            if top:
                tops.append((record.config.trial, y[-1]))
        _name_ends(axes, tops[:12], len(ladder) - 1, every)
        axes.set_xticks(range(len(ladder)), [f"{rung:,}" for rung in ladder])
        axes.set_xlim(-0.15, len(ladder) - 1 + 0.25)
        axes.set(xlabel=unit, ylabel=metric.name)
    return made.done


def _name_ends(
    axes: Axes, ends: Sequence[tuple[str, float]], x: float, every: Sequence[float]
) -> None:
    """Names of lines at their right end, moved apart."""
    gap = 0.05 * (max(every, default=1.0) - min(every, default=0.0))
    places = spread([y for _, y in ends], gap)
    for (name, y), place in zip(ends, places, strict=True):
        axes.annotate(
            name, (x, y), (x + 0.02 * max(1.0, x), place), va="center", color=INK, fontsize=7.5,
        )  # fmt: skip


def draw_parallel(rows: Sequence[Row], metric: Metric) -> Figure | None:
    """Every configuration as a line over its parameters; None where nothing was varied."""
    tried = [row for row in rows if row.state != "baseline" and row.score is not None]
    names = varied([row.values for row in tried])[:_MOST_AXES]
    if len(tried) < 3 or len(names) < 2:
        return None
    ranked = sorted(tried, key=lambda row: -metric.score(row.score or 0.0))[:_MOST_LINES]
    best = max(1, len(ranked) // 5)
    caption = (
        f"A line a configuration, from parameter to parameter to its {metric.name}; the best "
        f"{best} of {len(ranked)} are blue. Where blue lines meet, a value matters; at the foot "
        "of an axis, a parameter does not apply."
    )
    with sheet("Configurations", caption, height=3.7, wide=True) as made:
        axes = made.axes()
        columns = [_axis([row.values.get(name) for row in ranked]) for name in names]
        columns.append(_axis([row.score for row in ranked]))
        for x, (_, ticks) in enumerate(columns):
            axes.axvline(x, color=LINE, linewidth=1)
            for y, label in ticks:
                axes.annotate(
                    label, (x, y), (4, 0), textcoords="offset points", va="center",
                    fontsize=7, color=INK, zorder=5,
                    bbox={"facecolor": PAGE, "alpha": 0.8, "pad": 0.8, "linewidth": 0},
                )  # fmt: skip
        places = np.array([column for column, _ in columns]).T
        chance = np.random.default_rng(0)
        shifts = chance.uniform(-0.012, 0.012, size=places.shape)
        shifts[:, -1] = 0
        for i in range(len(ranked) - 1, -1, -1):
            good = i < best
            axes.plot(
                range(len(columns)), places[i] + shifts[i], color=ACCENT if good else MUTED,
                linewidth=1.5 if good else 0.7, alpha=0.95 if good else 0.4,
            )  # fmt: skip
        titles = [*("\n".join(short(p, 15) for p in n.split(".")[-2:]) for n in names), metric.name]
        axes.set_xticks(range(len(columns)), titles)
        axes.tick_params(axis="x", labelcolor=INK)
        axes.set(ylim=(-0.12, 1.06), xlim=(-0.1, len(columns) - 0.55))
        axes.set_yticks([])
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
    return made.done


def draw_importance(found: Importance, metric: Metric, unit: str) -> Figure:
    """Bars of the parameters' shares."""
    shown = found.parameters[:12][::-1]
    caption = (
        f"Share of what a random forest knows about {metric.name} at {found.resource:,} {unit} "
        f"that it loses when a parameter is shuffled; whiskers are standard deviations."
    )
    with sheet("Importance", caption, height=0.8 + 0.26 * len(shown)) as made:
        axes = made.axes()
        shares = [share for _, share, _ in shown]
        axes.barh(range(len(shown)), shares, color=ACCENT, height=0.55)
        errors = [spread for _, _, spread in shown]
        at = range(len(shown))
        axes.errorbar(shares, at, xerr=errors, fmt="none", ecolor=MUTED, elinewidth=1)
        axes.set_yticks(range(len(shown)), [short(name, 26) for name, _, _ in shown])
        axes.tick_params(axis="y", labelcolor=INK)
        axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axes.set_xlim(left=0)
        axes.grid(visible=False, axis="y")
    return made.done


def draw_learning(history: History, ranked: Sequence[str], metric: Metric, unit: str) -> Figure:
    """The metric of every trial over the resource; the best are named."""
    caption = (
        f"{metric.name} on the stopping split over the resource, a line a trial; the best "
        f"{min(_NAMED, len(ranked))} are blue and named."
    )
    with sheet("Learning curves", caption) as made:
        axes = made.axes()
        ends: list[tuple[str, int, float]] = []
        every: list[float] = []
        for place, trial in reversed(list(enumerate(ranked[:_MOST_LINES]))):
            reports = history.trials[trial].usable(metric)
            xs, ys = [r.resource for r in reports], [r.metrics[metric.name] for r in reports]
            good = place < _NAMED
            axes.plot(
                xs, ys, color=ACCENT if good else MUTED, alpha=1 if good else 0.4,
                linewidth=1.6 if good else 0.7, marker="o" if len(xs) == 1 else None, markersize=3,
            )  # fmt: skip
            every += ys
            if good and xs:
                ends.append((trial, xs[-1], ys[-1]))
        resource = max((end for _, end, _ in ends), default=1)
        gap = 0.06 * (max(every, default=1.0) - min(every, default=0.0))
        heights = spread([y for _, _, y in ends], gap)
        for (trial, end, y), height in zip(ends, heights, strict=True):
            at = (end + 0.02 * resource, height)
            axes.annotate(trial, (end, y), at, va="center", fontsize=7, color=INK)
        axes.set(xlabel=unit, ylabel=metric.name)
        axes.margins(x=0.12)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    return made.done


def draw_losses(record: TrialRecord, metric: Metric, unit: str) -> Figure | None:
    """Training and held-out loss of one trial; None where they were not reported twice."""
    reports = [
        r for r in record.usable(metric) if "train_loss" in r.metrics and "log_loss" in r.metrics
    ]
    if len(reports) < 2:
        return None
    caption = (
        f"Losses of the best trial, {record.config.trial}. Where the held-out line turns up while "
        "training falls on, it learns its rows by heart."
    )
    with sheet("Training and held-out loss", caption) as made:
        axes = made.axes()
        x = [r.resource for r in reports]
        axes.plot(x, [r.metrics["train_loss"] for r in reports], color=MUTED, label="training loss")
        held = [r.metrics["log_loss"] for r in reports]
        axes.plot(x, held, color=ACCENT, label="log-loss, stopping split")
        axes.legend(loc="best")
        axes.set(xlabel=unit, ylabel="nats")
        axes.set_ylim(bottom=0)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    return made.done


def draw_timeline(stretches: Sequence[Stretch], best: Collection[str]) -> Figure:
    """Which slot trained what, and when; the best trials stand out."""
    slots = 1 + max(stretch.slot for stretch in stretches)
    last = max(stretch.end for stretch in stretches)
    size, unit = next(
        ((s, u) for s, u in ((3600.0, "hours"), (60.0, "minutes")) if last > 3 * s),
        (1.0, "seconds"),
    )
    caption = (
        f"A bar a training without a break, a row a slot, in {unit} of search time; blue bars are "
        "trials that reached the last rung or were trained for the ensemble, red ones failed."
    )
    height = 0.9 + min(4.5, 0.34 * slots)
    with sheet("Timeline", caption, height=height, wide=True) as made:
        axes = made.axes()
        for stretch in stretches:
            good = stretch.trial in best
            colour = WARN if stretch.ended != "decided" else ACCENT if good else MUTED
            width = max(stretch.end - stretch.begin, last / 800) / size
            axes.barh(
                stretch.slot, width, left=stretch.begin / size, height=0.72, color=colour,
                alpha=0.75 if good else 0.5, linewidth=0.8, edgecolor=PAGE,
            )  # fmt: skip
            if slots <= 16 and width * size > last / 22:
                axes.text(
                    stretch.begin / size + width / 2, stretch.slot, stretch.trial, ha="center",
                    va="center", fontsize=6.5, color=INK,
                )  # fmt: skip
        axes.set_yticks(range(slots), [str(slot + 1) for slot in range(slots)])
        axes.set(xlabel=unit, ylabel="slot", xlim=(0, last / size))
        axes.set_ylim(slots - 0.4, -0.6)
        axes.grid(visible=False, axis="y")
    return made.done


def _axis(values: Sequence[object]) -> tuple[list[float], list[tuple[float, str]]]:
    """Places in [0, 1] and the labels of one axis; what is absent lies below it."""
    plain = [v if isinstance(v, str | int | float | bool) or v is None else str(v) for v in values]
    found = encode(plain)
    absent = [v is None for v in plain]
    top = max((f for f, none in zip(found, absent, strict=True) if not none), default=1.0)
    words = any(isinstance(v, str | bool) for v in plain)
    scale = (top or 1.0) if words else 1.0
    places = [-0.1 if none else float(f) / scale for f, none in zip(found, absent, strict=True)]
    ticks: Mapping[str, float] = {
        short(_say(v), 12): place for v, place in zip(plain, places, strict=True) if v is not None
    }
    if len(ticks) > 6:
        ends = sorted(ticks.items(), key=lambda one: one[1])
        ticks = dict([ends[0], ends[len(ends) // 2], ends[-1]])
    return places, [(place, label) for label, place in ticks.items()]


def _say(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _number(row: Row) -> tuple[int, str]:
    return len(row.trial), row.trial
