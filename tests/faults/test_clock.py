"""A clock that is moved: stamps move with it, durations and decisions do not."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest

import toprung
from toprung.core import clock as clocks
from toprung.core.clock import SystemClock
from toprung.search.driver import Driver
from toprung.search.plan import Plan
from toprung.search.runners.inline import Inline
from toprung.search.runners.virtual import simulate, synthetic_curve
from toprung.search.schedulers.asha import Asha
from toprung.search.searchers.random import Random
from toprung.trial.config import Resource
from toprung.trial.journal import Journal, read_events
from toprung.trial.report import Metric
from toprung.trial.space import Float, Space

ACCURACY = Metric("accuracy")
RESOURCE = Resource("examples", 1, 9, (1, 3, 9))
READS_THE_CLOCK = re.compile(r"\btime\.time\(|datetime\.(now|utcnow|today)\(|\btime\.localtime\(")


def search(folder: Path) -> list[tuple[object, ...]]:
    scheduler, searcher = Asha(), Random()
    scheduler.prepare(RESOURCE, ACCURACY)
    searcher.prepare(Space({"x": Float(0.0, 1.0)}), 7)
    with Journal(folder, SystemClock()) as journal:
        plan = Plan(ACCURACY, RESOURCE, 12, seconds=600.0, seed=7)
        driver = Driver(plan, scheduler, searcher, journal)
        Inline().run(driver, simulate(synthetic_curve(ACCURACY, RESOURCE), RESOURCE, ACCURACY))
        driver.finish()
    events = read_events(journal.path)
    moments = [event["at"] for event in events]
    assert moments == sorted(moments)
    assert moments[-1] < 60
    return [(r.config.trial, r.state, r.reason) for r in driver.history.trials.values()]


@pytest.mark.parametrize("hours", [1, -1])
def test_a_clock_that_is_moved_by_an_hour_changes_no_duration_and_no_decision(
    hours: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    untouched = search(tmp_path / "untouched")
    asked = count()

    class Moved:
        """The clock of a machine that somebody sets anew after every twentieth look."""

        @staticmethod
        def now(zone: object) -> datetime:
            return datetime.now(UTC) + timedelta(hours=hours * (next(asked) // 20))

    monkeypatch.setattr(clocks, "datetime", Moved)
    assert search(tmp_path / "moved") == untouched
    stamps = [event["time"] for event in read_events(tmp_path / "moved" / "journal.jsonl")]
    assert len({stamp[:13] for stamp in stamps}) > 2


def test_nobody_but_the_clock_reads_the_time_of_day_for_a_decision() -> None:
    root = Path(toprung.__file__).parent
    found = {
        path.relative_to(root).as_posix()
        for path in root.rglob("*.py")
        if READS_THE_CLOCK.search(path.read_text(encoding="utf-8"))
    }
    # The other names the start of a machine that has no id for it; see ``Prefixes``.
    assert found <= {"core/clock.py", "learn/prefixes.py"}
