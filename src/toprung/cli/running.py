"""What the verbs that run a search share: the live view, Ctrl-C, the summary, exit codes."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from types import FrameType

import typer
from rich.markup import escape

from toprung.api import Search
from toprung.cli.console import ERRORS, OUT
from toprung.cli.live import live_view
from toprung.cli.summary import command, print_summary
from toprung.core.errors import Interrupted
from toprung.core.processes import end_descendants

PARTIAL = 4
_PAUSING = b"\npausing: running trials save a checkpoint ... (again to end at once)\n"


def run_search(search: Search, work: Callable[[Search], Search]) -> None:
    """Runs a stage under the live view and prints what came of it.

    Args:
        search: without watchers; the live view is added.
        work: the stage.

    Raises:
        typer.Exit: with 4 where some trials failed but the result is usable.
        Interrupted: after the first Ctrl-C, when everything is saved.
    """
    with live_view(search) as watcher:
        search.settings = replace(search.settings, watchers=(watcher,))
        try:
            with _pausing(search):
                work(search)
        except Interrupted:
            watcher.close()
            again = escape(command(search, "resume"))
            ERRORS.print(f"paused; everything is saved. Go on with: [bold]{again}[/]")
            raise
    print_summary(search, OUT)
    if search.history().in_state("failed", "diverged"):
        raise typer.Exit(PARTIAL)


@contextmanager
def _pausing(search: Search) -> Iterator[None]:
    """First Ctrl-C, SIGTERM or SIGHUP: trials save themselves; the second ends at once.

    A terminal that closes sends SIGHUP. Under ``nohup`` that is ignored, and stays so.
    """
    asked = 0

    def on_signal(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        asked += 1
        if asked > 1:
            end_descendants()
            os._exit(Interrupted.exit_code)
        if number == signal.SIGHUP:
            _forget_terminal()
        # Not through a stream object: the signal may have come amid a write to it.
        with suppress(OSError):
            os.write(2, _PAUSING)
        search.pause()

    heeded = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        heeded.append(signal.SIGHUP)
    before = {name: signal.signal(name, on_signal) for name in heeded}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)


def _forget_terminal() -> None:
    """What is said from now on goes nowhere: a write to a terminal that is gone would fail."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        if os.isatty(stream):
            os.dup2(nowhere, stream)
    os.close(nowhere)
