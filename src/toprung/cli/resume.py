"""``toprung resume``: a search goes on where it was, or is extended."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from toprung.api import Search
from toprung.api.opening import Settings
from toprung.api.submitting import submit_resume
from toprung.cli.options import (
    Address,
    AllowOpen,
    AtOnce,
    ClusterFile,
    Detach,
    Priority,
    Results,
    RunnerName,
    SearchName,
)
from toprung.cli.remote import follow_sent, is_remote, reach, refuse_foreign
from toprung.cli.running import run_search
from toprung.spec.limits import limit


def _more(text: str) -> str:
    most = int(limit("trials").high)
    if not re.fullmatch(r"\+?[0-9]{1,9}", text) or int(text) > most:
        raise typer.BadParameter(f"{text!r} is not a number of trials, such as +20, up to {most:,}")
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
    cluster: ClusterFile = None,
    priority: Priority = 1.0,
    at_once: AtOnce = None,
    allow_open: AllowOpen = False,
    detach: Detach = False,
) -> None:
    """Go on with an interrupted search, each trial from its own checkpoint, or extend one.

    With --cluster, or the http:// address of a dashboard, it goes on there.

    Example: toprung resume quickstart --trials +20
    """
    refuse_foreign(address, cluster, runner=runner, detach=detach)
    settings = Settings(
        runner=runner,
        address=address,
        results=results,
        priority=priority,
        at_once=at_once,
        trusts_open=allow_open,
    )
    more = int(trials)
    if is_remote(address, cluster):
        server = reach(address, cluster, trusts_open=allow_open)
        sent, is_new = submit_resume(server, name, settings, more_trials=more)
        follow_sent(server, sent, is_new=is_new, detach=detach)
        return
    run_search(Search.attach(name, settings), lambda search: search.fit(more_trials=more))
