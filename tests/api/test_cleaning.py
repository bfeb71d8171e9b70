"""The janitor's looks at the disk: how often, where each takes long."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from toprung.api.cleaning import Janitor
from toprung.api.folder import Folder
from toprung.core.clock import VirtualClock
from toprung.judge.janitor import Removal
from toprung.search.driver import Driver
from toprung.search.plan import Plan
from toprung.search.schedulers.fifo import Fifo
from toprung.search.searchers.random import Random
from toprung.trial.config import Resource
from toprung.trial.journal import Journal
from toprung.trial.report import Metric
from toprung.trial.space import Float, Space

METRIC, RESOURCE = Metric("accuracy"), Resource("examples", 1, 9, (1, 3, 9))


def looks(folder: Path, *, seconds: float) -> list[float]:
    """When a janitor looks in the first 300 s, each of which a trial leaves in."""
    clock, found = VirtualClock(), []

    class Timed(Janitor):
        def clean(self) -> list[Removal]:
            found.append(clock.seconds())
            clock.move_to(clock.seconds() + seconds)
            return []

    scheduler, searcher = Fifo(), Random()
    scheduler.prepare(RESOURCE, METRIC)
    searcher.prepare(Space({"x": Float(0.0, 1.0)}), 7)
    with Journal(folder, clock, durable=False) as journal:
        driver = Driver(Plan(METRIC, RESOURCE, 4), scheduler, searcher, journal)
        janitor = Timed(Folder(folder), driver, 1.0, 4)
        while (now := clock.seconds()) < 300.0:
            event: dict[str, Any] = {"kind": "decided", "state": "paused", "at": now}
            janitor(event)
            clock.move_to(max(clock.seconds(), now + 1.0))
    return found


def test_a_quick_look_comes_every_ten_seconds_and_a_slow_one_takes_a_small_share(
    tmp_path: Path,
) -> None:
    assert looks(tmp_path / "quick", seconds=0.0) == [10.0 * n for n in range(30)]
    assert looks(tmp_path / "slow", seconds=5.0) == [0.0, 105.0, 210.0]
