"""A Ray that this process has started: which of its processes it cannot do without."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from toprung.core.errors import FixEnvironment
from toprung.core.processes import descendants, end_descendants

_HEAD = "gcs_server"
_VITAL = (_HEAD, "raylet")
_LOOK_SECONDS = 0.2
_GRACE_SECONDS = 4.0
"""For whoever waits for a Ray that is gone to find that out; Ray itself takes a minute."""


class LocalRay:
    """Watches over the head and the raylet below this process; of another machine's it knows none.

    Attributes:
        is_lost: whether one of them is gone.
    """

    def __init__(self) -> None:
        """Takes note of those that are there."""
        named = {process: _name(process) for process in descendants(os.getpid())}
        self._vital = {process: name for process, name in named.items() if name in _VITAL}
        self.is_lost = False

    def check(self) -> None:
        """Ends what is left of a Ray that has lost its head or its raylet.

        Raises:
            FixEnvironment: it is gone; with what to do.
        """
        gone = self._gone()
        if gone:
            self.is_lost = True
            end_descendants()
            # Ray's own farewell would wait for a head that is gone, a minute and more.
            atexit.register(_leave_at_once)
            raise FixEnvironment(_lost(gone))

    def watched(self) -> AbstractContextManager[None]:
        """Ends this process, in words, where the block waits for a Ray that is gone."""
        return _watched(self._gone)

    def _gone(self) -> str:
        """The name of what is gone first; empty where all are there."""
        return next((name for one, name in self._vital.items() if _name(one) != name), "")


def start_watched() -> AbstractContextManager[None]:
    """Ends this process, in words, where the head of the Ray dies that the block starts."""
    heads: set[int] = set()

    def gone() -> str:
        heads.update(one for one in descendants(os.getpid()) if _name(one) == _HEAD)
        return _HEAD if heads and not any(_name(one) == _HEAD for one in heads) else ""

    return _watched(gone)


@contextmanager
def _watched(gone: Callable[[], str]) -> Iterator[None]:
    """Ray would wait a minute, and then end the process too, with exit code 1 and no words."""
    over = threading.Event()
    watch = threading.Thread(target=_watch, args=(over, gone), name="ray-watch", daemon=True)
    watch.start()
    try:
        yield
    finally:
        over.set()
        watch.join()


def _watch(over: threading.Event, gone: Callable[[], str]) -> None:
    while not over.wait(_LOOK_SECONDS):
        if name := gone():
            if not over.wait(_GRACE_SECONDS):
                end_descendants()
                print(f"error: {_lost(name)}", file=sys.stderr)
                _leave_at_once()
            return


def _lost(name: str) -> str:
    return (
        f"Ray on this machine has lost its {name}. Nothing that was journaled is lost: resume, "
        f"and the search goes on where it is with a new Ray."
    )


def _leave_at_once() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(FixEnvironment.exit_code)


def _name(process: int) -> str:
    """The name of a process that lives; empty where it does not."""
    try:
        name, _, rest = Path(f"/proc/{process}/stat").read_text(errors="replace").rpartition(")")
    except OSError:
        return ""
    return "" if rest.split()[0] == "Z" else name.partition("(")[2]


def memory_kills() -> int:
    """How often this machine's kernel has killed a process for want of memory."""
    try:
        lines = Path("/proc/vmstat").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))
