"""Runs a command and measures its whole tree of processes: seconds, CPU-seconds, memory."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any

import psutil

_LOOK_EVERY_SECONDS = 0.25


@dataclass(frozen=True)
class Finished:
    """What a run took and said.

    Attributes:
        wall: seconds from start to end.
        cpu: CPU-seconds of all its processes.
        peak_rss: most bytes that all its processes held at once, shared pages counted in each.
        output: the JSON object on its last line; empty where that is none.
        others: share of the machine's CPU time that other processes took meanwhile.
    """

    wall: float
    cpu: float
    peak_rss: int
    output: dict[str, Any]
    others: float = 0.0


def run_process(
    command: Sequence[str], env: Mapping[str, str] | None = None, timeout_seconds: float = 3600.0
) -> Finished:
    """Runs a command to its end.

    Descendants that end without being waited for count with the CPU-seconds that they had when
    they were last looked at.

    Raises:
        RuntimeError: it failed or took too long; with the last lines that it wrote.
    """
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as log:
        before, busy, began = _waited_for(), _busy(), time.perf_counter()
        process = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=log,
            env={**os.environ, **(env or {})},
            start_new_session=True,
        )
        tree = _Tree(process.pid)
        try:
            while process.poll() is None and time.perf_counter() - began < timeout_seconds:
                tree.look()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_LOOK_EVERY_SECONDS)
        finally:
            late = process.poll() is None
            if late:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        wall = time.perf_counter() - began
        if late or process.returncode:
            how = "took too long" if late else f"failed with {process.returncode}"
            raise RuntimeError(f"{' '.join(command)} {how}:\n{_tail(out)}\n{_tail(log)}")
        cpu = max(_waited_for() - before, tree.cpu)
        others = max(0.0, _busy() - busy - cpu) / (wall * (os.cpu_count() or 1))
        return Finished(wall, cpu, tree.peak_rss, _last_json(out), others)


class _Tree:
    """The processes below one, those included that have lost their parent since."""

    def __init__(self, pid: int) -> None:
        self._root = pid
        self._known: dict[int, psutil.Process] = {}
        self._cpu: dict[int, float] = {}
        self.peak_rss = 0

    @property
    def cpu(self) -> float:
        return sum(self._cpu.values())

    def look(self) -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            root = psutil.Process(self._root)
            for process in [root, *root.children(recursive=True)]:
                self._known.setdefault(process.pid, process)
        rss = 0
        for pid, process in list(self._known.items()):
            try:
                with process.oneshot():
                    times = process.cpu_times()
                    self._cpu[pid] = times.user + times.system
                    rss += process.memory_info().rss
            except psutil.NoSuchProcess:
                del self._known[pid]
        self.peak_rss = max(self.peak_rss, rss)


def _waited_for() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _busy() -> float:
    """CPU-seconds that the whole machine has spent, or lost to the one that it runs on."""
    times = psutil.cpu_times()
    return sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0)


def _last_json(out: IO[str]) -> dict[str, Any]:
    out.seek(0)
    lines = [line for line in out.read().splitlines() if line.strip()]
    try:
        found = json.loads(lines[-1]) if lines else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _tail(file: IO[str], lines: int = 20) -> str:
    file.seek(0)
    return "\n".join(file.read().splitlines()[-lines:])
