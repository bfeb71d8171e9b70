"""Where a search stands, told from its folder alone, whoever drives it."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toprung.api import Search
from toprung.api.folder import Folder
from toprung.api.progress import Progress
from toprung.core.errors import FixEnvironment
from toprung.storage.lease import holder
from toprung.trial.journal import LOCK_NAME, read_events


@dataclass(frozen=True)
class Driver:
    """The process that drives a search, as it wrote itself into the lock file."""

    pid: int
    host: str
    epoch: int

    @property
    def is_here(self) -> bool:
        """Whether it runs on this machine."""
        return self.host == socket.gethostname()


def driver_at_work(folder: Folder) -> Driver | None:
    """Who drives a search now; None where nobody does.

    A lock on a shared mount is seen only where that mount carries locks from node to node. Of a
    search that is kept under a URL, a driver elsewhere is known by its next sign of life, for
    which this waits up to ten seconds.
    """
    here = _lock_holder(folder.root / LOCK_NAME)
    if here is not None or folder.store is None:
        return here
    found = holder(folder.store)
    if found is None:
        return None
    events = read_events(folder.journal)
    return Driver(found.pid, found.host, int(events[-1]["epoch"]) if events else 0)


def _lock_holder(path: Path) -> Driver | None:
    try:
        with path.open("r", encoding="utf-8") as file:
            said = file.read()
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return None
    except BlockingIOError:
        try:
            known = json.loads(said)
            return Driver(int(known["pid"]), str(known["host"]), int(known["epoch"]))
        except (ValueError, KeyError, TypeError):
            return Driver(0, "unknown", 0)
    except OSError:
        return None


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


def stop_driver(folder: Folder) -> Driver | None:
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
