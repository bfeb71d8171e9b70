"""Short searches to break, and small disks to fill."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks" / "faults"


@pytest.fixture(scope="session")
def stories() -> ModuleType:
    """``benchmarks/faults/stories.py``: what a journal tells, made comparable."""
    sys.path.insert(0, str(FOLDER))
    try:
        return import_module("stories")
    finally:
        sys.path.remove(str(FOLDER))


@dataclass
class Short:
    """A short search in a process of its own, with what it says on standard error."""

    folder: Path
    log: Path
    process: subprocess.Popen[str]

    @property
    def journal(self) -> Path:
        return self.folder / "journal.jsonl"

    @property
    def said(self) -> str:
        return self.log.read_text()

    def lines(self) -> int:
        """How many whole lines the journal has."""
        return self.journal.read_bytes().count(b"\n") if self.journal.exists() else 0

    def wait_for(self, holds: Callable[[], bool], seconds: float = 90.0) -> float:
        """Waits until something holds; how long that took."""
        began = time.monotonic()
        while not holds():
            assert time.monotonic() < began + seconds, self.said
            time.sleep(0.01)
        return time.monotonic() - began

    def end(self) -> int:
        return self.process.wait(timeout=60)


@pytest.fixture
def short(tmp_path: Path) -> Iterator[Callable[..., Short]]:
    """Starts a short search in a folder: real driver, journal and runner, toy training."""
    begun: list[subprocess.Popen[str]] = []

    def start(folder: Path, *words: str, under: tuple[str, ...] = ()) -> Short:
        command = [*under, sys.executable, str(FOLDER / "short_search.py"), str(folder), *words]
        # Not beside the folder, whose disk may be full.
        path = tmp_path / f"{len(begun)}.log"
        with path.open("w") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, text=True)
        begun.append(process)
        return Short(folder, path, process)

    yield start
    for process in begun:
        if process.poll() is None:
            process.kill()
            process.wait()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Mounts small disks of memory, by name and size."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small disk")
    mounted: list[Path] = []

    def mount(name: str, kibibytes: int) -> Path:
        folder = tmp_path / name
        folder.mkdir(parents=True)
        words = ["mount", "-t", "tmpfs", "-o", f"size={kibibytes}k", "toprung", str(folder)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"no tmpfs can be mounted here: {done.stderr.strip()}")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "-l", str(folder)], check=False)
