"""Waiting for room on a disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from toprung.core.clock import VirtualClock
from toprung.search import room as rooms
from toprung.search.room import Room


def test_what_failed_at_the_same_time_does_not_wait_once_room_was_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = VirtualClock()
    free = 0

    def sleep(seconds: float) -> None:
        nonlocal free
        clock.move_to(clock.seconds() + seconds)
        if clock.seconds() == 10.0:
            free = 1 << 30

    monkeypatch.setattr(rooms.time, "sleep", sleep)
    room = Room(tmp_path, clock=clock)
    monkeypatch.setattr(room, "_free", lambda: free)
    room.is_over = lambda: False
    assert room.wait("full", 60.0)
    assert clock.seconds() == 10.0
    for _ in range(16):
        assert room.wait("full", 60.0)
    assert clock.seconds() == 10.0
    clock.move_to(100.0)
    assert room.wait("full again", 60.0)
    assert clock.seconds() == 160.0
