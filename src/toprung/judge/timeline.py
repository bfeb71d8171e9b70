"""When each slot trained which trial, from the journal's moments."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from toprung.trial.journal import Event

_LEAVES = ("failed", "held", "left")


@dataclass(frozen=True)
class Stretch:
    """A trial's training without a break.

    Attributes:
        slot: from 0; the same for stretches that could have been on one worker.
        begin, end: seconds of search time.
        ended: ``decided``, ``failed``, ``held``, ``left``, or ``cut off`` where the search itself
            was.
    """

    trial: str
    slot: int
    begin: float
    end: float
    ended: str


def timeline(events: Iterable[Event]) -> list[Stretch]:
    """Every stretch, by its beginning; slots are filled from the lowest.

    >>> events = [{"kind": "started", "trial": "t0001", "at": 0.0},
    ...           {"kind": "started", "trial": "t0002", "at": 1.0},
    ...           {"kind": "decided", "trial": "t0001", "at": 4.0, "state": "paused"},
    ...           {"kind": "started", "trial": "t0003", "at": 5.0},
    ...           {"kind": "failed", "trial": "t0002", "at": 6.0}]
    >>> [(s.trial, s.slot, s.begin, s.end, s.ended) for s in timeline(events)][:2]
    [('t0001', 0, 0.0, 4.0, 'decided'), ('t0002', 1, 1.0, 6.0, 'failed')]
    """
    open_: dict[str, float] = {}
    found: list[tuple[float, float, str, str]] = []
    last = 0.0
    for event in events:
        kind, trial = event["kind"], event.get("trial", "")
        if kind == "opened":
            found += [(begin, last, name, "cut off") for name, begin in open_.items()]
            open_.clear()
        last = float(event["at"])
        if kind == "started":
            open_[trial] = last
        elif trial in open_ and (
            kind in _LEAVES or (kind == "decided" and event["state"] != "running")
        ):
            found.append((open_.pop(trial), last, trial, kind))
    found += [(begin, last, name, "cut off") for name, begin in open_.items()]
    free: list[float] = []
    placed = []
    for begin, end, trial, ended in sorted(found):
        slot = next((i for i, until in enumerate(free) if until <= begin + 1e-6), len(free))
        free[slot : slot + 1] = [end]
        placed.append(Stretch(trial, slot, begin, end, ended))
    return placed
