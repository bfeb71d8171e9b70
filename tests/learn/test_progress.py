"""A trial's progress between two reports: a line every N steps."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from toprung.api.progress import peak_memory, read_step
from toprung.core import memory
from toprung.core.clock import VirtualClock
from toprung.learn.loop import Progress
from toprung.learn.plan import PROGRESS
from toprung.learn.progress import ProgressLog


def train(folder: Path, steps: int, seconds: float, *, start: int = 0) -> list[dict[str, Any]]:
    """Steps of 32 rows, each of so many seconds."""
    clock = VirtualClock()
    progress = Progress()
    loop: Any = SimpleNamespace(
        progress=progress, last_loss=0.5, optimizer=SimpleNamespace(rate=1e-3)
    )
    log = ProgressLog(folder / "t0001" / PROGRESS, clock, of=32_000)
    progress.position = type(progress.position)(examples=start)
    for _ in range(steps):
        clock.move_to(clock.seconds() + seconds)
        progress.steps += 1
        progress.position = type(progress.position)(examples=progress.position.examples + 32)
        log(loop)
    lines = (folder / "t0001" / PROGRESS).read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_a_line_comes_every_ten_seconds_whatever_a_step_takes(tmp_path: Path) -> None:
    quick = train(tmp_path / "quick", 400, 0.1)
    assert {line["every"] for line in quick} == {100}
    assert [line["steps"] for line in quick[1:]] == [100, 100, 100]
    slow = train(tmp_path / "slow", 20, 20.0)
    assert {line["every"] for line in slow} == {1}


def test_a_line_tells_pace_machine_and_time_left(tmp_path: Path) -> None:
    last = train(tmp_path, 400, 0.1, start=640)[-1]
    assert last["rows_per_second"] == 320.0
    assert last["eta_seconds"] == round((32_000 - last["examples"]) / 320.0, 1)
    assert last["memory_bytes"] > 2**20
    assert last["disk_free_bytes"] > 0
    assert {"loss", "learning_rate", "cpu", "time"} <= last.keys()


def test_the_last_whole_line_is_what_a_view_shows(tmp_path: Path) -> None:
    train(tmp_path, 400, 0.1)
    step = read_step(tmp_path, "t0001")
    assert step is not None
    assert "loss 0.5000" in step.words()
    with (tmp_path / "t0001" / PROGRESS).open("a") as file:
        file.write('{"step": ')
    assert read_step(tmp_path, "t0001") == step
    assert read_step(tmp_path, "t0002") is None


def test_the_largest_memory_of_all_trials_is_found_beside_lines_cut_off(tmp_path: Path) -> None:
    assert peak_memory(tmp_path / "nothing") == 0
    for trial, peak in (("t0001", 70), ("t0002", 90)):
        (tmp_path / trial).mkdir()
        lines = [json.dumps({"memory_bytes": size}) for size in (peak, 60)]
        (tmp_path / trial / PROGRESS).write_text("\n".join([*lines, '{"memory_bytes": 99']))
    assert peak_memory(tmp_path) == 90


def test_a_full_disk_costs_the_line_and_not_the_trial(tmp_path: Path) -> None:
    (tmp_path / "t0001").write_text("a file where the folder should be")
    clock = VirtualClock()
    loop: Any = SimpleNamespace(
        progress=Progress(), last_loss=0.5, optimizer=SimpleNamespace(rate=1e-3)
    )
    log = ProgressLog(tmp_path / "t0001" / PROGRESS, clock, of=100)
    for _ in range(20):
        clock.move_to(clock.seconds() + 5.0)
        log(loop)


def test_memory_is_given_back_where_it_grows_beyond_what_steps_take(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    held = iter([2.3, 2.5, 2.9, 2.0, 2.4, 2.6, 2.2])
    trims: list[int] = []
    monkeypatch.setattr(memory, "held_bytes", lambda: int(next(held) * 2**30))
    monkeypatch.setattr(memory, "trim_heap", trims.append)
    watch = memory.HeapWatch()
    grown = []
    for _ in range(7):
        watch.look()
        grown.append(len(trims))
    # Trimmed at 2.9 and 2.6, each more than half a GiB above the line after the trim before.
    assert grown == [0, 0, 1, 1, 1, 2, 2]
