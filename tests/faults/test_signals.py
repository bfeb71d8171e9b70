"""A terminal that closes, and Ctrl-C twice: nothing is lost, and no process is left."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from toprung.api import Search
from toprung.trial.journal import read_events

pytestmark = pytest.mark.timeout(240)
TOPRUNG = [sys.executable, "-m", "toprung.cli.main"]


def wait_for(holds: Callable[[], bool], seconds: float = 120.0) -> float:
    began = time.monotonic()
    while not holds():
        assert time.monotonic() < began + seconds
        time.sleep(0.02)
    return time.monotonic() - began


def reported(journal: Path) -> list[tuple[str, int]]:
    events = read_events(journal)
    return [(e["trial"], e["resource"]) for e in events if e["kind"] == "reported"]


def test_a_search_whose_terminal_closes_saves_itself_and_goes_on_later(
    finished: Search, tmp_path: Path, write_spec: Callable[..., Path], record_property
) -> None:
    results = tmp_path / "results"
    journal = results / "tiny" / "journal.jsonl"
    words = ["search", str(write_spec(tmp_path)), "--runner", "inline", "--results", str(results)]
    process, terminal = pty.fork()
    if process == 0:
        os.execv(sys.executable, [*TOPRUNG, *words])

    def seen() -> bool:
        # A terminal that nobody looks at takes no more words after a while.
        if select.select([terminal], [], [], 0)[0]:
            os.read(terminal, 1 << 16)
        return len(reported(journal)) >= 2

    wait_for(seen)
    os.close(terminal)
    began = time.monotonic()
    _, status = os.waitpid(process, 0)
    record_property("recovery_seconds", time.monotonic() - began)
    assert os.waitstatus_to_exitcode(status) == 130
    assert read_events(journal)[-1]["kind"] == "interrupted"
    resumed = [*TOPRUNG, "resume", "tiny", "--runner", "inline", "--results", str(results)]
    assert subprocess.run(resumed, capture_output=True, check=False).returncode == 0
    assert len(reported(journal)) == len(set(reported(journal)))
    assert sorted(reported(journal)) == sorted(reported(finished.folder.journal))


def test_ctrl_c_twice_ends_a_search_on_ray_at_once_with_no_process_left(
    tmp_path: Path, write_spec: Callable[..., Path], record_property
) -> None:
    results = tmp_path / "results"
    journal = results / "tiny" / "journal.jsonl"
    words = ["search", str(write_spec(tmp_path)), "--results", str(results)]
    with subprocess.Popen([*TOPRUNG, *words], stderr=subprocess.DEVNULL) as process:
        wait_for(lambda: journal.exists() and b'"started"' in journal.read_bytes())
        wait_for(lambda: any("ray::" in p.name() for p in below(process.pid)))
        left = below(process.pid)
        process.send_signal(signal.SIGINT)
        time.sleep(0.2)
        left += [p for p in below(process.pid) if p not in left]
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        assert process.wait(timeout=60) == 130
    _, alive = psutil.wait_procs(left, timeout=60)
    record_property("recovery_seconds", time.monotonic() - began)
    assert alive == []
    read_events(journal)


def below(process: int) -> list[psutil.Process]:
    found = []
    for child in psutil.Process(process).children(recursive=True):
        try:
            child.name()
            found.append(child)
        except psutil.NoSuchProcess:
            continue
    return found
