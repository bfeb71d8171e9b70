"""What the verbs that run a search share: the live view, Ctrl-C, the summary, exit codes."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import typer

from toprung.api import Search
from toprung.api.opening import Settings
from toprung.cli.console import ERRORS, OUT
from toprung.cli.live import live_view
from toprung.cli.summary import print_summary
from toprung.core.errors import Interrupted
from toprung.spec.spec import SearchSpec

PARTIAL = 4


def run_search(
    spec: SearchSpec, settings: Settings, work: Callable[[Search], Search], again: str
) -> None:
    """Runs a stage under the live view and prints what came of it.

    Args:
        spec: of the search.
        settings: without watchers; the live view is added.
        work: the stage.
        again: the command that resumes it, for the message of an interruption.

    Raises:
        typer.Exit: with 4 where some trials failed but the result is usable.
        Interrupted: after the first Ctrl-C, when everything is saved.
    """
    with live_view(spec, settings) as watcher:
        watched = Settings(**{**vars(settings), "watchers": (watcher,)})
        search = Search(spec, settings=watched)
        try:
            with _pausing(search):
                work(search)
        except Interrupted:
            watcher.close()
            ERRORS.print(f"paused; everything is saved. Go on with: [bold]{again}[/]")
            raise
    print_summary(search, OUT)
    if search.history().in_state("failed", "diverged"):
        raise typer.Exit(PARTIAL)


@contextmanager
def _pausing(search: Search) -> Iterator[None]:
    """First Ctrl-C or SIGTERM: trials save themselves; the second ends at once."""
    asked = 0

    def on_signal(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        asked += 1
        if asked > 1:
            os._exit(Interrupted.exit_code)
        ERRORS.print("\npausing: running trials save a checkpoint … (again to end at once)")
        search.pause()

    before = {name: signal.signal(name, on_signal) for name in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)
