"""What becomes of a trial after a report or a failure, always with the reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

State = Literal[
    "running", "paused", "completed", "stopped", "diverged", "failed", "cancelled", "baseline"
]
FailureKind = Literal[
    "infrastructure",
    "out_of_memory",
    "hung",
    "storage",
    "diverged",
    "metric_missing",
    "user_error",
    "cancelled",
]
STATES: tuple[State, ...] = get_args(State)
FAILURE_KINDS: tuple[FailureKind, ...] = get_args(FailureKind)


@dataclass(frozen=True)
class Continue:
    """The trial trains on."""

    reason: str


@dataclass(frozen=True)
class Pause:
    """The trial leaves its slot and may be promoted later, from its checkpoint."""

    reason: str


@dataclass(frozen=True)
class Stop:
    """The trial is over: completed at the last rung, or stopped before it."""

    reason: str
    completed: bool = False


Decision = Continue | Pause | Stop


@dataclass(frozen=True)
class Promotion:
    """A paused trial goes on to the next rung."""

    trial: str
    start: int
    reason: str


@dataclass(frozen=True)
class Failure:
    """Why a trial could not go on.

    Attributes:
        kind: class of the failure; decides whether it is tried again. ``storage`` is never the
            trial's fault: the search waits until there is room, then the trial goes on.
        message: one line for people.
    """

    kind: FailureKind
    message: str


@dataclass(frozen=True)
class Verdict:
    """What is done about a failure: tried again from the last checkpoint, or over."""

    retry: bool
    reason: str
