"""A mark that a driver leaves for trials on other machines, looked for while they train."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from toprung.core.clock import Clock, SystemClock
from toprung.storage.store import Store

PAUSE = ".pause"
"""The mark at which trials save themselves and leave."""


class Sign:
    """Whether a mark was left: as a file on this machine, or as an object on the storage.

    The storage is asked every few seconds only, as training asks between any two steps.
    """

    def __init__(
        self,
        store: Store,
        key: str,
        beside: Path,
        *,
        every_seconds: float = 5.0,
        clock: Clock | None = None,
    ) -> None:
        """Names the mark.

        Args:
            store: of the search.
            key: of the object.
            beside: the file, for those on the machine of the driver.
            every_seconds: at most one question to the storage.
            clock: for them.
        """
        self._store, self._key, self._beside = store, key, beside
        self._every, self._clock = every_seconds, clock or SystemClock()
        self._asked = self._clock.seconds()
        self._seen = False

    def exists(self) -> bool:
        """Whether the mark was left."""
        if self._seen or self._beside.exists():
            return True
        now = self._clock.seconds()
        if now - self._asked >= self._every:
            self._asked = now
            # A storage that does not answer has no mark to show; training goes on.
            with suppress(OSError):
                self._seen = self._store.has(self._key)
        return self._seen
