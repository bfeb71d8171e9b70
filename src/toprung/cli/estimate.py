"""``toprung estimate``: what a search will cost, before it runs."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from toprung.api.opening import Settings
from toprung.cli.console import OUT, duration, print_json
from toprung.cli.options import Json, Overrides, Results, RunnerName, SpecPath
from toprung.core.later import later
from toprung.judge.forecast import Forecast, Range
from toprung.spec.load import load_spec

estimating = later("toprung.api.estimating")


def estimate(
    spec: SpecPath,
    overrides: Overrides = None,
    like: Annotated[
        str | None,
        typer.Option(
            "--like",
            metavar="MACHINE",
            help="Another machine: a number of cores, or the environment.json of a search.",
        ),
    ] = None,
    runner: RunnerName = "ray",
    results: Results = "results",
    json: Json = False,
) -> None:
    """Say time, memory and disk of a search, per rung and in all, from a few timed steps.

    The search keeps the forecast, and its report says how good it was.

    Example: toprung estimate search/quickstart.yaml
    """
    loaded = load_spec(spec, overrides or [])
    found = estimating.estimate(loaded, Settings(runner=runner, results=results), like)
    if json:
        print_json(found.to_json())
        return
    several = len(loaded.phases) > 1
    OUT.print(_rungs(found, loaded.resource.unit, by_phase=several))
    for number, until in enumerate(found.until, 1):
        what = f"until the end of phase {number}" if several else "search"
        OUT.print(f"{what}: {_time(until)}", markup=False)
    if several and len(found.until) < len(loaded.phases):
        OUT.print(f"the budget is spent before phase {len(found.until) + 1} ends", style="yellow")
    OUT.print(f"in all: {_time(found.seconds)}, on {found.machine}", markup=False)
    OUT.print(f"memory: {_bytes(found.memory_bytes)}; disk: {_bytes(found.disk_bytes)}")
    for words, pace in found.measured.items():
        OUT.print(f"  {pace:,.0f} rows/s  {words}", markup=False, style="dim")
    OUT.print(f"measured in {duration(found.took_seconds)}", style="dim")


def _rungs(found: Forecast, unit: str, *, by_phase: bool) -> Table:
    table = Table(box=SIMPLE_HEAD)
    names: list[Any] = ["phase"] if by_phase else []
    for name in (*names, f"rung ({unit})", "trials", "training time"):
        table.add_column(name, justify="right")
    for rung in found.rungs:
        phase = [str(rung.phase)] if names else []
        trials = f"{rung.trials.middle:g} ({rung.trials.low:g} – {rung.trials.high:g})"
        table.add_row(*phase, f"{rung.resource:,}", trials, _time(rung.seconds))
    return table


def _time(found: Range) -> str:
    return f"{duration(found.middle)} ({duration(found.low)} – {duration(found.high)})"


def _bytes(found: Range) -> str:
    low, middle, high = (value / 2**30 for value in (found.low, found.middle, found.high))
    return f"{middle:.1f} GiB ({low:.1f} – {high:.1f})"
