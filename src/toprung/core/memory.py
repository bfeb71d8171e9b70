"""This process's memory: how much it holds, and giving back what it has freed."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

_WORTH = 256 << 20
_held = 0
"""Resident bytes when memory was last given back."""


def resident_bytes() -> int:
    """Memory that this process holds now; 0 where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def trim_heap(grown: int = _WORTH) -> None:
    """Gives freed memory back to the machine, where glibc manages it.

    Batches of all sizes leave holes between what lives on, and glibc keeps holes: a worker would
    grow to several times of what it uses.

    Args:
        grown: does nothing where this process has grown by fewer bytes since the last time.
    """
    global _held
    now = resident_bytes()
    _held = min(_held, now)  # what has shrunk by itself may grow from there
    if now < _held + grown:
        return
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
    _held = resident_bytes()
