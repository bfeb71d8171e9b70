"""The lines of a journal: written with a checksum, read back whole or refused by number."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from toprung.core.errors import FixEnvironment
from toprung.core.files import parse_json
from toprung.trial.event_checks import problem_of

Event = Mapping[str, Any]

JOURNAL_NAME = "journal.jsonl"
FORMAT = 1
"""Of the journal; an opening says it. What a later one holds, an earlier toprung refuses."""

_to_json = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode


def read_events(path: Path) -> list[Event]:
    """The events of a journal, oldest first; a torn last line is left out.

    Raises:
        FixEnvironment: a line before the last is not an event, or the numbering has a gap.
    """
    events: list[Event] = []
    whole, _ = whole_lines(path)
    sealed = False
    for number, line in enumerate(whole, 1):
        try:
            event, has_seal = _unseal(line)
            wrong = problem_of(event, number)
            if sealed and not has_seal:
                wrong = "it has no checksum, as those before it have"
        except ValueError as error:
            wrong = str(error)
        if wrong is not None:
            raise FixEnvironment(
                f"{path}:{number}: not the event that belongs here: {wrong}. The file was "
                f"changed or damaged; restore it from a copy, or cut it before line {number} to "
                f"go on from there."
            )
        sealed = has_seal
        events.append(event)
    _refuse_later(path, events)
    return events


def seal(event: Event) -> bytes:
    """The event's line, with a checksum of what stands before it."""
    body = _to_json(event)[:-1].encode()
    return body + b', "crc": %d}\n' % zlib.crc32(body)


def _unseal(line: str) -> tuple[Event, bool]:
    """The event of a line, and whether it had a checksum, as those of toprung 0.1.0 had not.

    Raises:
        ValueError: it is not what was written.
    """
    event = parse_json(line)
    if not isinstance(event, dict):
        raise ValueError("no object")
    checksum = event.pop("crc", None)
    if checksum is not None and checksum != zlib.crc32(line.rpartition(', "crc": ')[0].encode()):
        raise ValueError("the checksum differs")
    return event, checksum is not None


def _refuse_later(path: Path, events: Sequence[Event]) -> None:
    for event in events:
        if event.get("kind") == "opened" and event.get("format", 0) > FORMAT:
            raise FixEnvironment(
                f"{path}: written by toprung {event.get('version')} in format {event['format']}, "
                f"and this toprung reads up to {FORMAT}. Install that version, or a later one."
            )


def whole_lines(path: Path) -> tuple[list[str], int]:
    """Every line that was written whole, and their length in bytes."""
    data = path.read_bytes() if path.exists() else b""
    end = data.rfind(b"\n") + 1
    # Not ``splitlines``, which also splits at characters that JSON leaves as they are.
    return data[:end].decode("utf-8", errors="replace").split("\n")[:-1], end
