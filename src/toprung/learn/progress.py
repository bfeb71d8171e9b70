"""A trial's progress between two reports: a line every N steps, beside its checkpoints."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

from toprung.core.clock import Clock
from toprung.core.memory import HeapWatch, used_bytes
from toprung.learn.loop import Loop

SECONDS_BETWEEN = 10.0
_STEPS_BEFORE_KNOWING = 5


class ProgressLog:
    """Appends a line to ``progress.jsonl`` every N steps; N is as many as take ten seconds.

    A line is for people and for the live view: no decision rests on it, and where the disk
    refuses it, training goes on. It holds ``step``, ``examples``, ``of`` (examples at the last
    rung), ``loss`` of the last step, ``learning_rate``, ``rows_per_second``, ``cpu`` (cores that
    this process kept busy), ``memory_bytes`` (that it uses), ``disk_free_bytes``, ``eta_seconds``
    (until the last rung), ``every`` (N) and ``time`` (UTC).

    Args:
        path: of the file.
        clock: for the pace.
        of: examples at the last rung.
    """

    def __init__(self, path: Path, clock: Clock, *, of: int) -> None:
        self._path, self._clock, self._of = path, clock, of
        self._every = _STEPS_BEFORE_KNOWING
        self._step = -1
        self._heap = HeapWatch()

    def __call__(self, loop: Loop) -> None:
        """Takes note of a step."""
        # The pace is taken from the first step on: before it lies what opening the trial took,
        # and a checkpoint may have moved the position.
        if self._step < 0:
            self._mark(loop)
            return
        self._step += 1
        if self._step < self._every:
            return
        seconds = max(1e-9, self._clock.seconds() - self._began)
        self._every, steps = max(1, round(SECONDS_BETWEEN * self._step / seconds)), self._step
        line = json.dumps(self._line(loop, seconds) | {"every": self._every, "steps": steps})
        with suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        self._heap.look()
        self._mark(loop)

    def _mark(self, loop: Loop) -> None:
        self._step = 0
        self._began, self._cpu = self._clock.seconds(), _cpu_seconds()
        self._examples = loop.progress.position.examples

    def _line(self, loop: Loop, seconds: float) -> dict[str, Any]:
        progress = loop.progress
        examples = progress.position.examples
        pace = (examples - self._examples) / seconds
        return {
            "step": progress.steps,
            "examples": examples,
            "of": self._of,
            "loss": round(loop.last_loss, 6),
            "learning_rate": loop.optimizer.rate,
            "rows_per_second": round(pace, 2),
            "cpu": round((_cpu_seconds() - self._cpu) / seconds, 2),
            "memory_bytes": used_bytes(),
            "disk_free_bytes": _disk_free(self._path),
            "eta_seconds": round(max(0, self._of - examples) / max(1e-9, pace), 1),
            "time": self._clock.stamp(),
        }


def _cpu_seconds() -> float:
    times = os.times()
    return times.user + times.system


def _disk_free(path: Path) -> int:
    there = next(folder for folder in path.resolve().parents if folder.exists())
    return shutil.disk_usage(there).free
