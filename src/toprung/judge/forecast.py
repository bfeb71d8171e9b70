"""What a search will cost, before it runs; and what the forecast was worth, afterwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Literal

from toprung.trial.journal import Event

MEMORY_UNCERTAINTY = 0.25


@dataclass(frozen=True)
class Range:
    """A number that is not known exactly: its middle, and the bounds that it should lie in.

    >>> Range.of([8.0, 10.0, 14.0], 0.1)
    Range(low=7.2, middle=10.0, high=15.4)
    """

    low: float
    middle: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float], uncertainty: float) -> Range:
        """From several simulations, each uncertain by a share.

        An uncertainty of 0.5 means half as much again, or so much less.
        """
        low, high = min(values) / (1 + uncertainty), max(values) * (1 + uncertainty)
        if uncertainty <= 0.25:
            low = min(values) * (1 - uncertainty)
        return cls(round(low, 3), round(median(values), 3), round(high, 3))


@dataclass(frozen=True)
class RungForecast:
    """What one rung costs.

    Attributes:
        phase: of the plan, from 1; 0 where there is none.
        resource: of the rung.
        trials: that reach it.
        seconds: that they spend from the rung below to it, all together.
    """

    phase: int
    resource: int
    trials: Range
    seconds: Range


@dataclass(frozen=True)
class Forecast:
    """What a search will cost.

    Attributes:
        seconds: of the whole search, from baselines to the test split.
        until: of the search until the end of each phase; one entry where there are none.
        rungs: ascending.
        memory_bytes: of all processes together.
        disk_bytes: that results and caches take at most.
        machine: in words.
        measured: shapes that were timed, each with its rows a second.
        took_seconds: to make the forecast.
        trial_memory_bytes: of the process of one trial; 0 where it was not forecast.
    """

    seconds: Range
    until: tuple[Range, ...]
    rungs: tuple[RungForecast, ...]
    memory_bytes: Range
    disk_bytes: Range
    machine: str
    measured: Mapping[str, float]
    took_seconds: float
    trial_memory_bytes: int = 0

    def to_json(self) -> dict[str, Any]:
        """The forecast as JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class Outcome:
    """One forecast number beside what happened; ``error`` is a share of what happened."""

    what: str
    expected: Range
    happened: float
    unit: Literal["seconds", "bytes"] = "seconds"

    @property
    def error(self) -> float:
        """How far the middle was off, as a share of what happened.

        >>> round(Outcome("search", Range(80, 90, 110), 100).error, 6)
        -0.1
        """
        return self.expected.middle / self.happened - 1 if self.happened else 0.0

    @property
    def is_within(self) -> bool:
        """Whether what happened lies in the range."""
        return self.expected.low <= self.happened <= self.expected.high


def score_forecast(events: Sequence[Event]) -> list[Outcome]:
    """The forecast that a journal holds beside what came; empty without one.

    Only what the forecast was about is scored: trials that were added later are not, and a plan
    that a gate ended early is scored until that gate.
    """
    said = next((e for e in events if e["kind"] == "forecast"), None)
    if said is None or any(e["kind"] == "extended" for e in events):
        return []
    closed = [e for e in events if e["kind"] == "closed"]
    again = any(e["kind"] == "phase" and e["attempt"] > 1 for e in events)
    if again:
        return []
    found: list[Outcome] = []
    several = len(said["until"]) > 1
    for number, (expected, event) in enumerate(zip(said["until"], closed, strict=False), 1):
        what = f"until the end of phase {number}" if several else "until the end of the search"
        found.append(Outcome(what, Range(**expected), float(event["at"])))
    ends = [e for e in events if e["kind"] == "ensembled"]
    if ends and len(closed) == len(said["until"]):
        found.append(Outcome("in all", Range(**said["seconds"]), float(ends[0]["at"])))
    return found + _score_memory(said, ends[0] if ends else {})


def _score_memory(said: Event, end: Event) -> list[Outcome]:
    # Journals from before tell no peak, and a search of a few steps none.
    sizes = [event.get("trial_memory_bytes") or 0 for event in (said, end)]
    if not all(isinstance(size, int) and size > 0 for size in sizes):
        return []
    expected, peak = map(float, sizes)
    around = Range.of([expected], MEMORY_UNCERTAINTY)
    return [Outcome("memory of a trial's process", around, peak, "bytes")]
