"""What a journal tells, made comparable, and what must hold of it whatever happened meanwhile."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from toprung.trial.history import History
from toprung.trial.journal import Event, read_events

TIMING = ("rows_per_second",)
"""Metrics that differ from run to run."""


def story(journal: Path) -> dict[str, list[Any]]:
    """Suggestions, reports and decisions, without what depends on the clock."""
    events = read_events(journal)
    return {
        "suggestions": [(e["trial"], e["values"], e["seed"]) for e in _of("suggested", events)],
        "reports": [(*pair(e), untimed(e["metrics"])) for e in _of("reported", events)],
        "decisions": [
            (*pair(e), e["decision"], e["reason"], e["by"]) for e in _of("decided", events)
        ],
        "promotions": [(e["trial"], e["reason"], e["by"]) for e in _of("promoted", events)],
    }


def untimed(metrics: dict[str, Any]) -> dict[str, Any]:
    """Metrics without those of speed."""
    return {name: value for name, value in metrics.items() if name not in TIMING}


def pair(event: Event) -> tuple[str, int]:
    """Trial and resource of an event."""
    return event["trial"], event["resource"]


def repeated(journal: Path) -> list[tuple[str, int]]:
    """Trials with a resource that they have reported more than once."""
    counts = Counter(pair(event) for event in _of("reported", read_events(journal)))
    return sorted(found for found, count in counts.items() if count > 1)


def broken_rules(journal: Path, trials: int) -> list[str]:
    """What does not hold of a finished search, in words; empty where all does.

    Args:
        journal: of the search.
        trials: that it was to try.
    """
    events = read_events(journal)
    history = History.of(events)
    found = [f"{trial} reported {at} twice" for trial, at in repeated(journal)]
    ids = [record.config.trial for record in history.suggested]
    if ids != [f"t{number:04d}" for number in range(1, trials + 1)]:
        found.append(f"trials {ids} instead of {trials}")
    for record in history.trials.values():
        if record.state not in ("completed", "stopped"):
            found.append(f"{record.config.trial} ended as {record.state}: {record.reason}")
        points = [report.resource for report in record.reports]
        if points != sorted(points):
            found.append(f"{record.config.trial} reported {points}")
    for name in ("seq", "epoch", "at"):
        values = [event[name] for event in events]
        if values != sorted(values):
            found.append(f"{name} runs backwards")
    if history.closed is None:
        found.append("the search never closed")
    return found


def trained_twice(folder: Path) -> list[str]:
    """Toy trials that began below a checkpoint that they had saved; see ``short_search``."""
    found = []
    for log in sorted(folder.glob("trials/*/trained")):
        saved = 0
        for line in log.read_text().splitlines():
            word, _, number = line.partition(" ")
            if word == "begin" and number.isdigit() and int(number) < saved:
                found.append(f"{log.parent.name} went back from {saved} to {number}")
            if word == "saved" and number.isdigit():
                saved = max(saved, int(number))
    return found


def copy_of_journal(folder: Path) -> Path:
    """The journal alone in a new folder, for a replay that must not touch the original."""
    aside = Path(tempfile.mkdtemp(prefix="toprung-replay-"))
    shutil.copyfile(folder / "journal.jsonl", aside / "journal.jsonl")
    return aside


def _of(kind: str, events: list[Event]) -> list[Event]:
    return [event for event in events if event["kind"] == kind]
