"""This process's memory: how much it holds, and giving back what it has freed."""

from __future__ import annotations

import ctypes
import os
import sys
from contextlib import suppress
from pathlib import Path

HOLES = 512 << 20
"""Bytes that holes in the heap may take during long work before they are given back."""
_WORTH = 256 << 20
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_LARGEST = 32 << 20
"""Bytes of the largest block that glibc can be told to take from the heap."""
_HEX, _WEIGHTS = "0123456789abcdef", ".safetensors"
_held = 0
"""Bytes that were held when memory was last given back."""


def held_bytes() -> int:
    """Memory that this process alone holds now; 0 where the system does not say.

    Pages of files that it maps, such as caches of many GiB, are not among it: the system takes
    them back where memory is short.
    """
    try:
        fields = Path("/proc/self/statm").read_text(encoding="ascii").split()
        pages = int(fields[1]) - int(fields[2])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def used_bytes() -> int:
    """What this process alone holds, and the weights that it maps from files and reads each step.

    Other processes may map the same weights; they are counted in each.
    """
    weights, counts = 0, False
    with suppress(OSError, ValueError), Path("/proc/self/smaps").open(encoding="utf-8") as lines:
        for line in lines:
            if line[0] in _HEX:
                counts = line.rstrip().endswith(_WEIGHTS)
            elif counts and line.startswith("Rss:"):
                weights += int(line.split()[1]) << 10
    return held_bytes() + weights


def trim_heap(grown: int = _WORTH) -> None:
    """Gives freed memory back to the machine, where glibc manages it.

    Batches of all sizes leave holes between what lives on, and glibc keeps holes: a worker would
    grow to several times of what it uses.

    Args:
        grown: does nothing where this process has grown by fewer bytes since the last time.
    """
    global _held
    now = held_bytes()
    _held = min(_held, now)  # what has shrunk by itself may grow from there
    if now < _held + grown:
        return
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
    _held = held_bytes()


def keep_heap() -> None:
    """Keeps freed memory for the next step, up to ``HOLES``, where glibc manages it.

    Of itself glibc gives back what is free at the heap's top beyond 64 MiB, and each step of a
    training then asks for the same pages again: a tenth of its time at 32 rows of 128 tokens.
    """
    tell = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if tell is not None:
        tell(_TRIM_THRESHOLD, HOLES)
        tell(_MMAP_THRESHOLD, _LARGEST)


class HeapWatch:
    """Trims the heap where it grows beyond what work takes; for now and then during long work.

    Pages that are given back are asked for again by the next step, so that only much counts.
    """

    def __init__(self) -> None:
        self._usual = 0

    def look(self) -> None:
        """Trims where this process holds half a GiB more than one look after the last trim."""
        held = held_bytes()
        if not self._usual:
            # What steps take is known one look after memory was given back, not at once.
            self._usual = held
        elif held > self._usual + HOLES:
            trim_heap(0)
            self._usual = 0
