"""``toprung logs``: what a search has told so far, from its cluster or from its journal."""

from __future__ import annotations

import sys
import time
from typing import Annotated

import typer

from toprung.api import Search
from toprung.api.opening import Settings
from toprung.api.progress import Progress
from toprung.api.standing import driver_at_work
from toprung.api.submitting import find_sent
from toprung.cli.console import OUT
from toprung.cli.live import View
from toprung.cli.options import AllowOpen, ClusterFile, Dashboard, Results, SearchName
from toprung.cli.remote import is_remote, reach, watch
from toprung.trial.journal import read_events

Follow = Annotated[
    bool, typer.Option("--follow", "-f", help="Go on until the search ends, or Ctrl-C.")
]
_LOOK_SECONDS = 1.0


def logs(
    name: SearchName,
    follow: Follow = False,
    results: Results = "results",
    address: Dashboard = None,
    cluster: ClusterFile = None,
    allow_open: AllowOpen = False,
) -> None:
    """Show what a search printed on its cluster, or what its journal tells.

    Example: toprung logs quickstart
    """
    if address is not None or is_remote(address, cluster):
        server = reach(address, cluster, trusts_open=allow_open)
        sent = find_sent(server, name)
        if follow:
            watch(server, sent)
        sys.stdout.write(server.log(sent.job.name))
        return
    search = Search.attach(name, Settings(results=results))
    view = View(Progress(search.spec, search.folder.root), None, OUT)
    told = 0
    while True:
        over = not follow or driver_at_work(search.folder) is None
        search.folder.refresh()
        events = read_events(search.folder.journal)
        for event in events[told:]:
            view(event)
        told = len(events)
        if over:
            return
        time.sleep(_LOOK_SECONDS)
