"""``toprung resume``: a search goes on where it was, or is extended."""

from __future__ import annotations

from typing import Annotated

import typer

from toprung.api import Search
from toprung.api.opening import Settings
from toprung.cli.options import Address, Results, RunnerName, SearchName
from toprung.cli.running import run_search


def _more(text: str) -> str:
    if not text.lstrip("+").isdigit():
        raise typer.BadParameter(f"{text!r} is not a number of trials such as +20")
    return text


def resume(
    name: SearchName,
    trials: Annotated[
        str,
        typer.Option("--trials", help="Add trials, as in --trials +20.", callback=_more),
    ] = "+0",
    runner: RunnerName = "ray",
    results: Results = "results",
    address: Address = None,
) -> None:
    """Go on with an interrupted search, each trial from its own checkpoint, or extend one.

    Example: toprung resume quickstart --trials +20
    """
    settings = Settings(runner=runner, address=address, results=results)
    more = int(trials.lstrip("+"))
    run_search(Search.attach(name, settings), lambda search: search.fit(more_trials=more))
