"""``toprung tensorboard``: trials side by side, on this machine only."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from toprung.api.folder import find_search
from toprung.api.sameness import reopen
from toprung.cli.console import OUT
from toprung.cli.options import Results, SearchName
from toprung.judge.tensorboard import rebuild
from toprung.trial.journal import read_events


def tensorboard(
    name: SearchName,
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="0 takes a free one.")
    ] = 6006,
    results: Results = "results",
) -> None:
    """Start TensorBoard on a search, reachable from this machine only (127.0.0.1).

    Example: toprung tensorboard quickstart --port 0
    """
    folder = find_search(name, results)
    if folder.refresh():  # Event files stay where they were written; the journal makes them anew.
        spec = reopen(folder)
        rebuild(folder.trials, spec.space, spec.metric, read_events(folder.journal))
    command = ["-m", "tensorboard.main", "--logdir", str(folder.trials)]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    OUT.print(f"tensorboard --logdir {folder.trials}", markup=False)
    os.execv(sys.executable, [sys.executable, *command])
