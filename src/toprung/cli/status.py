"""``toprung status``: where searches stand, on a cluster or in a results folder."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from toprung.api import Search
from toprung.api.folder import searches_in
from toprung.api.opening import Settings
from toprung.api.standing import tell_standing
from toprung.api.submitting import Sent, find_sent, searches
from toprung.cli.console import OUT, duration, print_json
from toprung.cli.options import AllowOpen, ClusterFile, Dashboard, Json, Results
from toprung.cli.remote import exit_code, is_remote, reach
from toprung.core.errors import ToprungError

Name = Annotated[
    str | None, typer.Argument(metavar="[SEARCH]", help="Name or folder; all searches without.")
]


def status(
    name: Name = None,
    results: Results = "results",
    address: Dashboard = None,
    cluster: ClusterFile = None,
    allow_open: AllowOpen = False,
    json: Json = False,
) -> None:
    """Show where searches stand: on a cluster with --address, else in the results folder.

    Example: toprung status quickstart
    """
    if address is not None or is_remote(address, cluster):
        server = reach(address, cluster, trusts_open=allow_open)
        found = searches(server) if name is None else [find_sent(server, name)]
        told = [_sent_record(sent) for sent in found]
    else:
        settings = Settings(results=results)
        if name is None:
            told = [_standing_or_why_not(one, settings) for one in searches_in(results)]
        else:
            told = [tell_standing(Search.attach(name, settings))]
    if json:
        print_json(told if name is None else told[0])
    elif not told:
        OUT.print("no search there")
    else:
        OUT.print(_sent_table(told) if "job" in told[0] else _table(told))


def _standing_or_why_not(name: str, settings: Settings) -> dict[str, Any]:
    """Where a search stands; one that cannot be read hides no other."""
    try:
        return tell_standing(Search.attach(name, settings))
    except ToprungError as error:
        return {"name": name, "state": "unreadable", "message": str(error)}


def _sent_record(sent: Sent) -> dict[str, Any]:
    job = sent.job
    return {
        "name": sent.name,
        "job": job.name,
        "state": job.state.lower(),
        "exit_code": exit_code(job) if job.is_over else None,
        "began": _stamp(job.began),
        "ended": _stamp(job.ended),
        "results": sent.results,
        "message": job.message,
    }


def _stamp(milliseconds: int | None) -> str | None:
    if not milliseconds:
        return None
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="seconds")


def _sent_table(told: list[dict[str, Any]]) -> Table:
    names = ("name", "state", "exit_code", "began", "ended", "results", "job")
    table = Table(box=SIMPLE_HEAD)
    for name in names:
        table.add_column(name.replace("_", " "), overflow="fold")
    for record in told:
        table.add_row(*("" if record[n] is None else escape(str(record[n])) for n in names))
    return table


def _table(told: list[dict[str, Any]]) -> Table:
    table = Table(box=SIMPLE_HEAD)
    for name in ("name", "state", "trials", "best", "elapsed", "ETA", "driver"):
        table.add_column(name, overflow="fold")
    for record in told:
        if "trials" not in record:
            table.add_row(escape(record["name"]), record["state"], escape(record["message"]))
            continue
        trials, best, driver = dict(record["trials"]), record["best"], record["driver"]
        done = f"{trials.pop('suggested')}/{trials.pop('of')}"
        done += "".join(f", {count} {state}" for state, count in trials.items())
        words = "" if best is None else " ".join(_short(value) for value in best.values())
        eta = record["eta_seconds"]
        table.add_row(
            escape(record["name"]),
            record["state"],
            done,
            escape(words),
            duration(record["elapsed_seconds"]),
            "" if eta is None else duration(eta),
            "" if driver is None else escape(f"{driver['pid']} on {driver['host']}"),
        )
    return table


def _short(value: object) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)
