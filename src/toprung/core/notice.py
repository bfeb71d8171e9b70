"""The notice that this process will be gone soon: whoever trains in it saves and leaves."""

from __future__ import annotations

from threading import Event

_given = Event()


def give_notice() -> None:
    """Tells this process that it will be ended from outside, as before a spot node goes."""
    _given.set()


def has_notice() -> bool:
    """Whether the process was told; it stays so."""
    return _given.is_set()
