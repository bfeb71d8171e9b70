"""``toprung stop``: a search pauses, every trial with a checkpoint, wherever it runs."""

from __future__ import annotations

from rich.markup import escape

from toprung.api import Search
from toprung.api.opening import Settings
from toprung.api.standing import stop_driver
from toprung.api.submitting import find_sent
from toprung.cli.console import OUT
from toprung.cli.options import AllowOpen, ClusterFile, Dashboard, Results, SearchName
from toprung.cli.remote import is_remote, reach
from toprung.cli.summary import command


def stop(
    name: SearchName,
    results: Results = "results",
    address: Dashboard = None,
    cluster: ClusterFile = None,
    allow_open: AllowOpen = False,
) -> None:
    """Pause a search: its trials save themselves and leave; 'toprung resume' goes on.

    Example: toprung stop quickstart --address http://127.0.0.1:8265
    """
    if address is not None or is_remote(address, cluster):
        server = reach(address, cluster, trusts_open=allow_open)
        sent = find_sent(server, name)
        was_running = server.stop(sent.job.name) and not sent.job.is_over
        again = f"toprung resume {sent.name} --address {server.url}"
    else:
        search = Search.attach(name, Settings(results=results))
        was_running = stop_driver(search.folder) is not None
        again = command(search, "resume")
    if was_running:
        OUT.print(f"{escape(name)} pauses. Go on with: [bold]{escape(again)}[/]")
    else:
        OUT.print(f"{escape(name)} was not running. Go on with: [bold]{escape(again)}[/]")
