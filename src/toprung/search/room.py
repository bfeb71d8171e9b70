"""What a search does while storage has no room or does not answer: it pauses and looks again."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from toprung.core.clock import Clock, SystemClock
from toprung.storage.store import Store

_LOOK_SECONDS = 0.5
_SOON_SECONDS = 5.0
_MORE_BYTES = 1 << 20
"""Of free space more than there was: somebody has made room."""
_PROBE_BYTES = 4096


class Room:
    """Waits where storage is full, may only be read or does not answer, and tells people, once.

    Attributes:
        is_over: asked while waiting; whether the user wants the search to end. Until a search is
            open nothing is waited for: then the error itself is the clearest answer.
    """

    def __init__(
        self, folder: Path, store: Store | None = None, *, clock: Clock | None = None
    ) -> None:
        """Watches a folder's storage.

        Args:
            folder: of the search.
            store: that keeps the search, where the folder is not all of it.
            clock: for durations.
        """
        self._folder, self._store = folder, store
        self._clock = clock or SystemClock()
        self._since: float | None = None
        self._made: float | None = None
        self.is_over: Callable[[], bool] | None = None

    def wait(self, why: str, seconds: float) -> bool:
        """Waits for room or an answer, at most so long; whether to try again."""
        if self.is_over is None or self.is_over():
            return False
        if self._since is None:
            self._since = self._clock.seconds()
            _tell(
                f"paused: {why}. Nothing is lost. {self._remedy()}, and the search goes on by "
                f"itself; or end it with Ctrl-C, and later: toprung resume {self._where_kept()}"
            )
        free, usable = self._free(), self._is_usable()
        if usable and self._made is not None and self._clock.seconds() < self._made + seconds:
            return True  # What failed beside the one that was waited for has its room, too.
        if usable and self._store is not None:
            seconds = min(seconds, _SOON_SECONDS)  # It may have been back before it was asked.
        until = self._clock.seconds() + seconds
        while self._clock.seconds() < until and not self.is_over():
            if self._free() >= free + _MORE_BYTES or self._is_usable() > usable:
                self._made = self._clock.seconds()
                break
            time.sleep(_LOOK_SECONDS)
        return not self.is_over()

    def over(self) -> None:
        """Tells that the search tries again."""
        if self._since is not None:
            _tell(f"the search goes on, after {self._clock.seconds() - self._since:.0f} s")
            self._since = None

    def _where(self) -> Path:
        """What trials write may lie on a disk of its own."""
        trials = self._folder / "trials"
        return trials if trials.is_dir() else self._folder

    def _free(self) -> int:
        try:
            return shutil.disk_usage(self._where()).free
        except OSError:
            return 0

    def _remedy(self) -> str:
        return "Make room" if self._store is None else "Bring the storage back, or make room"

    def _where_kept(self) -> str:
        return self._folder.name if self._store is None else self._store.url

    def _is_usable(self) -> bool:
        return self._is_writable() and (self._store is None or self._store.answers())

    def _is_writable(self) -> bool:
        path = self._where() / f".room.{os.getpid()}.tmp"
        try:
            path.write_bytes(bytes(_PROBE_BYTES))
            path.unlink()
        except OSError:
            with suppress(OSError):
                path.unlink()
            return False
        return True


def _tell(words: str) -> None:
    try:
        print(words, file=sys.stderr, flush=True)
    except OSError:
        return  # The terminal is gone; the search is not.
