"""``toprung board``: the leaderboard of a search, while it runs or after."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated

import typer

from toprung.api import Search
from toprung.api.opening import Settings
from toprung.cli.console import OUT, print_json
from toprung.cli.options import Json, Results, SearchName
from toprung.cli.summary import board_table
from toprung.judge.leaderboard import to_records, write_leaderboard


def board(
    name: SearchName,
    top: Annotated[int, typer.Option("--top", min=0, help="Show only the best N; 0 for all.")] = 0,
    results: Results = "results",
    json: Json = False,
) -> None:
    """Show the leaderboard: score, resource, cost, why each trial stopped; writes the CSV too.

    Example: toprung board quickstart --top 10
    """
    search = Search.attach(name, Settings(results=results))
    rows = search.rows()
    # Who may only read a folder sees the board all the same.
    with suppress(PermissionError):
        write_leaderboard(search.folder.leaderboard, rows)
    shown = rows[:top] if top else rows
    if json:
        print_json(to_records(shown))
        return
    OUT.print(board_table(shown, search.spec.metric.name))
    OUT.print(str(search.folder.leaderboard), style="dim", markup=False)
