"""What must hold in a search's journal whatever was done to its machines."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

from sleeping import open_driver

from toprung.core.errors import ToprungError
from toprung.trial.journal import JOURNAL_NAME, read_events

FINAL = ("completed", "stopped")


def trained(folder: Path) -> list[dict[str, Any]]:
    """What workers wrote down themselves, in the order of time; a last line may be torn."""
    found = []
    for file in (folder / "trained").glob("*.jsonl"):
        for line in file.read_text().splitlines():
            try:
                found.append({**json.loads(line), "process": file.stem})
            except ValueError:
                continue
    return sorted(found, key=lambda line: line["at"])


def broken(folder: Path, trials: int, seed: int) -> list[str]:
    """Every invariant that does not hold, in words; empty where all do."""
    events = read_events(folder / JOURNAL_NAME)
    problems = _lost(events, trials) + _repeated(events, trained(folder))
    # A copy, as opening writes: every decision is taken again and compared.
    with tempfile.TemporaryDirectory() as copy:
        shutil.copy(folder / JOURNAL_NAME, copy)
        try:
            open_driver(Path(copy), trials, seed)
        except ToprungError as error:
            problems.append(f"a decision is not that of the rules: {error}")
    return problems


def _lost(events: list[Any], trials: int) -> list[str]:
    states: dict[str, str] = {}
    for event in events:
        if event["kind"] == "suggested":
            states[event["trial"]] = "running"
        if event["kind"] in ("decided", "failed"):
            states[event["trial"]] = event["state"]
    problems = [f"{t} ended as {s}" for t, s in states.items() if s not in FINAL]
    if len(states) != trials or events[-1]["kind"] != "closed":
        problems.append(f"{len(states)} of {trials} trials, last event {events[-1]['kind']}")
    return problems


def _repeated(events: list[Any], lines: list[dict[str, Any]]) -> list[str]:
    """Trials go on from their last report, and no report counts twice."""
    reached: dict[str, int] = defaultdict(int)
    begins: dict[str, set[int]] = defaultdict(set)
    problems = []
    for event in events:
        if event["kind"] == "started":
            begins[event["trial"]].add(event["from"])
            if event["from"] != reached[event["trial"]]:
                was = f"{event['trial']} went on at {event['from']}"
                problems.append(f"{was}, not at {reached[event['trial']]}")
        if event["kind"] == "reported":
            if event["resource"] <= reached[event["trial"]]:
                problems.append(f"{event['trial']} reported {event['resource']} twice")
            reached[event["trial"]] = event["resource"]
    for line in lines:
        if line["from"] not in begins[line["trial"]]:
            problems.append(f"{line['trial']} was trained from {line['from']}, as nobody had said")
    return problems


def decisions(folder: Path) -> list[tuple[Any, ...]]:
    """What was suggested, reported and decided, in order."""
    kept = []
    for event in read_events(folder / JOURNAL_NAME):
        if event["kind"] == "suggested":
            kept.append(("suggested", event["trial"], json.dumps(event["values"])))
        if event["kind"] == "reported":
            metrics = json.dumps(event["metrics"])
            kept.append(("reported", event["trial"], event["resource"], metrics))
        if event["kind"] == "decided":
            kept.append(("decided", event["trial"], event["resource"], event["reason"]))
    return kept
