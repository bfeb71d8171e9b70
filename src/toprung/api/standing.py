"""Where a search stands, told from its folder alone, whoever drives it."""

from __future__ import annotations

import os
import signal
from typing import Any

from toprung.api import Search
from toprung.api.folder import Folder
from toprung.api.progress import Progress
from toprung.core.errors import FixEnvironment
from toprung.storage.lease import holder
from toprung.trial.journal import read_events
from toprung.trial.lock import LOCK_NAME, Holder, lock_holder


def driver_at_work(folder: Folder) -> Holder | None:
    """Who drives a search now; None where nobody does.

    A lock on a shared mount is seen only where that mount carries locks from node to node. Of a
    search that is kept under a URL, a driver elsewhere is known by its next sign of life, for
    which this waits up to ten seconds.
    """
    here = lock_holder(folder.root / LOCK_NAME)
    if here is not None or folder.store is None:
        return here
    found = holder(folder.store)
    if found is None:
        return None
    events = read_events(folder.journal)
    return Holder(found.pid, found.host, int(events[-1]["epoch"]) if events else 0)


def tell_standing(search: Search) -> dict[str, Any]:
    """Where a search stands: its state, its driver, counts, the best trial, and times."""
    progress = Progress(search.spec, search.folder.root)
    for event in read_events(search.folder.journal):
        progress(event)
    standing, driver = progress.standing(), driver_at_work(search.folder)
    state = "running" if driver else "over" if progress.history.is_over else "paused"
    best = standing.best
    return {
        "name": search.folder.name,
        "state": state,
        "driver": None if driver is None else vars(driver),
        "folder": search.folder.where,
        "trials": {"suggested": standing.suggested, "of": standing.trials, **standing.counts},
        "best": None if best is None else {"trial": best[0], search.spec.metric.name: best[1]},
        "elapsed_seconds": standing.elapsed,
        "eta_seconds": standing.eta_seconds if state == "running" else None,
        "closed": progress.history.closed,
    }


def stop_driver(folder: Folder) -> Holder | None:
    """Asks the driver of a search to pause it, as Ctrl-C would; None where nobody drives it.

    Raises:
        FixEnvironment: it runs on another machine, where no signal reaches it.
    """
    driver = driver_at_work(folder)
    if driver is None:
        return None
    if not driver.is_here or driver.pid <= 0:
        raise FixEnvironment(
            f"The search is driven by process {driver.pid} on {driver.host}, not here. Run "
            f"'toprung stop {folder.name}' there, or name its cluster: --address http://host:8265."
        )
    os.kill(driver.pid, signal.SIGTERM)
    return driver
