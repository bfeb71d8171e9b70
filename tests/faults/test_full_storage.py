"""A disk that is full, read-only, slow or failing: the search waits, or ends and can go on."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from toprung.trial.history import History
from toprung.trial.journal import read_events

pytestmark = pytest.mark.timeout(120)
QUICK = ("--seconds", "0.01", "--trials", "6")
BALLAST = ("--ballast", "30000")


def fill(folder: Path, *, leave: int = 0) -> Path:
    """Takes all the room but so many bytes."""
    path = folder / "filling"
    free = shutil.disk_usage(folder).free
    with path.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, free - leave)
    return path


def untouched(short: Callable[..., object], folder: Path, *words: str) -> Path:
    """The journal of the same search with nothing in its way."""
    search = short(folder, *words)
    assert search.end() == 0, search.said
    return search.journal


@pytest.mark.parametrize("what", ["checkpoints", "journal"])
def test_a_search_waits_while_its_disk_is_full_and_goes_on_once_there_is_room(
    what: str, short, disk, stories: ModuleType, tmp_path: Path, record_property
) -> None:
    folder = disk("small", 2048) / "search"
    folder.mkdir()
    if what == "journal":
        (tmp_path / "elsewhere").mkdir()
        (folder / "trials").symlink_to(tmp_path / "elsewhere")
    search = short(folder, *QUICK, *BALLAST)
    search.wait_for(lambda: search.lines() > 12)
    filling = fill(folder.parent)
    search.wait_for(lambda: "paused: " in search.said)
    assert "No space left" in search.said
    assert f"toprung resume {folder.name}" in search.said
    time.sleep(0.7)
    lines = search.lines()
    time.sleep(0.7)
    assert search.lines() == lines
    read_events(search.journal)
    filling.unlink()
    record_property("recovery_seconds", search.wait_for(lambda: search.lines() > lines))
    assert search.end() == 0, search.said
    assert "the search goes on, after" in search.said
    records = History.of(read_events(search.journal)).trials.values()
    assert not any(record.failures for record in records)
    whole = untouched(short, tmp_path / "whole", *QUICK)
    assert stories.story(search.journal) == stories.story(whole)
    assert stories.broken_rules(search.journal, 6) == []
    assert stories.trained_twice(folder) == []


def test_ctrl_c_ends_a_search_that_waits_for_room_and_a_later_one_goes_on(
    short, disk, stories: ModuleType, tmp_path: Path
) -> None:
    folder = disk("small", 2048) / "search"
    search = short(folder, *QUICK, *BALLAST)
    search.wait_for(lambda: search.lines() > 12)
    filling = fill(folder.parent)
    search.wait_for(lambda: "paused: " in search.said)
    search.process.send_signal(signal.SIGINT)
    assert search.end() in (3, 130), search.said
    assert "Traceback" not in search.said
    filling.unlink()
    again = short(folder, *QUICK, *BALLAST)
    assert again.end() == 0, again.said
    whole = untouched(short, tmp_path / "whole", *QUICK)
    assert stories.story(again.journal) == stories.story(whole)


def test_trials_whose_storage_may_only_be_read_wait_and_are_not_to_blame(
    short, disk, stories: ModuleType, tmp_path: Path, record_property
) -> None:
    trials = disk("search/trials", 4096)
    folder = trials.parent
    search = short(folder, *QUICK)
    search.wait_for(lambda: search.lines() > 12)
    remount(trials, "ro")
    search.wait_for(lambda: "paused: " in search.said)
    assert "Read-only file system" in search.said
    remount(trials, "rw,size=8m")
    record_property("recovery_seconds", search.wait_for(lambda: "goes on, after" in search.said))
    assert search.end() == 0, search.said
    whole = untouched(short, tmp_path / "whole", *QUICK)
    assert stories.story(search.journal) == stories.story(whole)


def remount(folder: Path, how: str) -> None:
    until = time.monotonic() + 10
    while True:  # A file that is being written keeps the disk writable.
        words = ["mount", "-o", f"remount,{how}", str(folder)]
        if subprocess.run(words, capture_output=True, check=False).returncode == 0:
            return
        assert time.monotonic() < until
        time.sleep(0.003)


@pytest.fixture
def strace(tmp_path: Path) -> Callable[..., tuple[str, ...]]:
    """Words that have the system tamper with a call of a process."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not there")
    probe = ["strace", "-o", str(tmp_path / "probe"), "true"]
    if subprocess.run(probe, capture_output=True, check=False).returncode:
        pytest.skip("strace may not trace here")

    def words(call: str, how: str) -> tuple[str, ...]:
        log = str(tmp_path / "strace")
        return (
            "strace",
            "-f",
            "-qq",
            "-o",
            log,
            "-e",
            f"trace={call}",
            "-e",
            f"inject={call}:{how}",
        )

    return words


def test_slow_storage_only_costs_time(short, strace, stories: ModuleType, tmp_path: Path) -> None:
    words = ("--seconds", "0.001", "--trials", "3")
    slow = short(tmp_path / "slow", *words, under=strace("fsync", "delay_exit=30000"))
    assert slow.end() == 0, slow.said
    whole = untouched(short, tmp_path / "whole", *words)
    assert stories.story(slow.journal) == stories.story(whole)


def test_a_disk_that_fails_ends_the_search_with_its_journal_whole(
    short, strace, stories: ModuleType, tmp_path: Path, record_property
) -> None:
    words = ("--seconds", "0.001", "--trials", "3")
    folder = tmp_path / "failing"
    # From the twentieth on every write that is to be durable fails.
    search = short(folder, *words, under=strace("fsync", "error=EIO:when=20+"))
    assert search.end() == 3
    assert "Input/output error" in search.said
    assert "Traceback" not in search.said
    read_events(search.journal)
    again = short(folder, *words)
    record_property("recovery_seconds", again.wait_for(lambda: again.process.poll() is not None))
    assert again.end() == 0, again.said
    whole = untouched(short, tmp_path / "whole", *words)
    assert stories.story(again.journal) == stories.story(whole)
