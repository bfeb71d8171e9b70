"""One driver at a time: a second one is refused, also while the first only stands still."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from types import ModuleType

from toprung.trial.journal import read_events

WORDS = ("--seconds", "0.03", "--trials", "6")


def test_a_second_driver_is_refused_until_the_first_is_gone(
    short, stories: ModuleType, tmp_path: Path, record_property
) -> None:
    folder = tmp_path / "search"
    first = short(folder, *WORDS)
    first.wait_for(lambda: first.lines() > 6)
    second = short(folder, *WORDS)
    assert second.end() == 3
    assert f'another driver is at work on this search ({{"pid": {first.process.pid}' in second.said
    os.kill(first.process.pid, signal.SIGSTOP)
    third = short(folder, *WORDS)
    assert third.end() == 3
    first.process.kill()
    first.process.wait()
    lines = first.lines()
    last = short(folder, *WORDS)
    record_property("recovery_seconds", last.wait_for(lambda: last.lines() > lines))
    assert last.end() == 0, last.said
    epochs = [event["epoch"] for event in read_events(last.journal)]
    assert epochs == sorted(epochs)
    assert set(epochs) == {1, 2}
    assert stories.broken_rules(last.journal, 6) == []
