"""How a search ends on the terminal: ranking, ensemble, what was saved, what comes next."""

from __future__ import annotations

import csv
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from toprung.api import Search
from toprung.api.opening import Settings
from toprung.cli.console import duration
from toprung.data import tasks
from toprung.judge.budget import savings, search_phase
from toprung.judge.leaderboard import Row
from toprung.trial.journal import read_events
from toprung.trial.space import Values

TOP = 8


_TOLD = ("accuracy", "macro_f1", "micro_f1", "positive_f1", "rouge2", "rougeL", "log_loss")
_MOST_BESIDE = 3


def print_summary(search: Search, out: Console) -> None:
    """Prints what a search amounts to, from its folder."""
    rows = search.rows()
    shown = [row for row in rows if row.state == "baseline" or (row.rank or TOP + 1) <= TOP]
    out.print()
    out.print(board_table(shown, search.spec.metric.name))
    if len(shown) < len(rows):
        more = escape(command(search, "board"))
        out.print(f"[dim]and {len(rows) - len(shown)} more: {more}[/]")
    said = search.folder.tested()
    if said is not None:
        _print_test(search, said, out)
    saved = savings(search_phase(read_events(search.folder.journal)), search.spec.resource)
    out.print(
        f"early stopping spent {saved.spent:,} of the {saved.full:,} {search.spec.resource.unit} "
        f"that {saved.trials} full trainings take: [bold]{saved.saved_share:.0%}[/] saved"
    )
    _print_next(search, out, said is not None)


def command(search: Search, verb: str, *rest: str) -> str:
    """A command on this search, with the options that find it again."""
    settings, parent = search.settings, search.folder.root.parent
    kept = search.folder.store is not None
    words = ["toprung", verb, search.folder.where if kept else search.folder.name, *rest]
    if not kept and parent != Path(Settings.results).resolve():
        given = settings.results if Path(settings.results).resolve() == parent else str(parent)
        words += ["--results", given]
    if verb == "resume":
        words += _of_runner(settings)
    return shlex.join(words)


def _of_runner(settings: Settings) -> list[str]:
    """The options with which trials find the same slots again."""
    words: list[str] = []
    if settings.runner != Settings.runner:
        words += ["--runner", settings.runner]
    if settings.address is not None:
        words += ["--address", settings.address]
    if settings.trusts_open:
        words.append("--allow-open-cluster")
    if settings.priority != Settings.priority:
        words += ["--priority", f"{settings.priority:g}"]
    if settings.at_once is not None:
        words += ["--at-once", str(settings.at_once)]
    return words


def board_table(rows: Sequence[Row], metric: str) -> Table:
    """The leaderboard as a table: the choices that differ, and why each trial stopped."""
    same = _same(rows)
    table = Table(
        title="leaderboard (stopping split)",
        title_justify="left",
        caption=f"every trial: {escape(_shown(same))}" if same else None,
        caption_justify="left",
        box=SIMPLE_HEAD,
    )
    for name in ("rank", "trial", metric, "resource", "cost"):
        table.add_column(name, justify="left" if name == "trial" else "right", no_wrap=True)
    table.add_column("configuration, and why it stands here", overflow="fold", min_width=22)
    for row in rows:
        own = {name: value for name, value in row.values.items() if name not in same}
        told = row.reason if row.reason.startswith(row.state) else f"{row.state}: {row.reason}"
        why = f"[dim]{escape(told)}[/]"
        for finding in row.findings:
            if finding.reason != row.reason:
                why += f"\n[yellow]{escape(finding.reason)}[/]"
        style = "dim" if row.state == "baseline" else None
        table.add_row(
            "" if row.rank is None else str(row.rank),
            escape(row.trial),
            "–" if row.score is None else f"{row.score:.4f}",
            "" if row.resource is None else f"{row.resource:,}",
            duration(row.seconds),
            f"{escape(_shown(own))}\n{why}" if own else why,
            style=style,
        )
    return table


def _same(rows: Sequence[Row]) -> Values:
    """The values that every one of several trials has."""
    tried = [row.values for row in rows if row.values]
    if len(tried) < 2:
        return {}
    return {
        name: value
        for name, value in tried[0].items()
        if all(name in values and values[name] == value for values in tried)
    }


def _shown(values: Values) -> str:
    parts = []
    for name, value in values.items():
        shown = f"{value:.3g}" if isinstance(value, float) else str(value)
        plain = "." not in name and isinstance(value, str)
        parts.append(shown if plain else f"{name.rpartition('.')[2]}={shown}")
    return " ".join(parts)


def _print_test(search: Search, said: Mapping[str, Any], out: Console) -> None:
    with search.folder.metrics.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    metric = search.spec.metric.name
    beside = [name for name in _TOLD if name != metric and name in rows[0]]
    names = [metric, *beside[:_MOST_BESIDE]]
    title = f"test split ({said['test']['rows']} rows)"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD)
    table.add_column("who")
    for name in names:
        table.add_column(name, justify="right")
    for row in rows:
        bold = "bold" if row["who"] == "ensemble" else None
        table.add_row(row["who"], *(f"{float(row[name]):.4f}" for name in names), style=bold)
    out.print(table)
    members = ", ".join(f"{m['trial']} × {m['weight']:.2f}" for m in said["members"])
    heat = f" · temperature {said['temperature']:.2f}" if "calibration" in said else ""
    out.print(f"members: {escape(members)}{heat}")
    if said["test"]["opened"] > 1:
        out.print(
            f"[yellow]the test split was looked at {said['test']['opened']} times: its figures "
            f"flatter whatever was chosen by them[/]"
        )
    gain = said["test"]["gain_over_best_trial"]
    low, high = gain["interval"]
    sure = "" if low <= 0 <= high else ", which is more than chance"
    out.print(
        f"gain over the best single trial ({said['test']['best_trial']['trial']}): "
        f"[bold]{gain['value']:+.4f}[/] (95 % interval {low:+.4f} to {high:+.4f}{sure})"
    )


def _print_next(search: Search, out: Console, built: bool) -> None:
    on_series = tasks.registry.get(search.spec.task).reads == "series"
    rows = ("rows.npz" if on_series else "rows.jsonl", "-o", "out.jsonl")
    out.print("\nnext:")
    for shown, what, useful in (
        (command(search, "board"), "every trial", True),
        (command(search, "tensorboard"), "curves and hyperparameters", True),
        (command(search, "predict", *rows), "label new rows", built),
        (command(search, "resume", "--trials", "+20"), "search on", True),
        (str(search.folder.page), "the report, for a browser", built),
    ):
        if useful:
            out.print(f"  [bold]{escape(shown)}[/]  [dim]{what}[/]")
