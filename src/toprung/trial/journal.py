"""The journal: what happened in a search, in order, durable, with one writer."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from toprung.core.clock import Clock
from toprung.core.errors import ToprungError
from toprung.core.files import AWAY, NO_ROOM, sync_folder
from toprung.trial.events import JOURNAL_NAME, Event, read_events, seal, whole_lines
from toprung.trial.lock import LOCK_NAME, epoch_in, name_holder, take_lock

__all__ = ["JOURNAL_NAME", "Event", "Journal", "read_events"]


class Block:
    """A ``with`` block that may stand within itself; cheap, as every report opens several.

    >>> block = Block(lambda: print("in"), lambda: print("out"))
    >>> with block:
    ...     pass
    in
    out
    """

    def __init__(self, begin: Callable[[], None], end: Callable[[], None]) -> None:
        self._begin, self._end = begin, end

    def __enter__(self) -> None:
        self._begin()

    def __exit__(self, *error: object) -> None:
        self._end()


class Patience(Protocol):
    """What becomes of a write for which storage has no room."""

    def wait(self, why: str, seconds: float) -> bool:
        """Waits for room, at most so long; whether to try again."""
        ...

    def over(self) -> None:
        """What was waited for has come."""
        ...


class NoPatience:
    """Nothing is tried again."""

    def wait(self, why: str, seconds: float) -> bool:
        return False

    def over(self) -> None:
        """Nothing was waited for."""


class Journal:
    """An append-only file of events; each is on disk before ``append`` returns.

    Inside ``together`` all are on disk when the block ends, with one wait for the disk. Where the
    disk is full, it waits as long as its ``patience`` says; search time stands still meanwhile.

    One driver at a time writes: the lock file is held with ``flock`` and names the holder. Each
    opening has a higher epoch, which stands in every event it writes.

    Attributes:
        earlier: the events that stood in the file when it was opened.
        epoch: of this opening, from 1.
        broken: whether events that were taken as written are lost; nothing more is written then.
    """

    def __init__(
        self,
        folder: Path,
        clock: Clock,
        *,
        durable: bool = True,
        push: Callable[[bytes], None] | None = None,
        patience: Patience | None = None,
    ) -> None:
        """Opens or begins the journal of a search's folder.

        Args:
            folder: of the search; it is made where absent.
            clock: for stamps and for the seconds that the search has run.
            durable: whether each append waits for the disk; off only for simulations.
            push: given the lines of each wait for the disk, after it; the lines count once it
                returns. It is given them again where it raises an OSError of ``AWAY`` and there
                is patience; else they are lost, and the journal is ``broken``.
            patience: with a disk that is full, or a storage that does not answer; None has none.

        Raises:
            FixEnvironment: another driver holds the lock, or the journal is damaged or of a
                later format.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / JOURNAL_NAME
        self._clock = clock
        self._durable, self._push = durable, push
        self._unpushed = bytearray()
        self._patience = patience or NoPatience()
        self._lock = take_lock(folder / LOCK_NAME)
        self.earlier: Sequence[Event] = read_events(self.path)
        _, end = whole_lines(self.path)
        # Unbuffered: what the disk refused must not turn up in a later write.
        self._file = self.path.open("ab", buffering=0)
        self._file.truncate(end)
        last: Event = self.earlier[-1] if self.earlier else {"seq": 0, "epoch": 0, "at": 0.0}
        self._seq: int = last["seq"]
        self._size = end
        self._durable_to = (self._seq, self._size)
        self._unsynced: list[bytes] = []
        self._blocks = 0
        self._block = Block(self._begin_block, self._end_block)
        self.broken = False
        # Of a journal that was cut or restored, trials have seen later openings than it tells.
        self.epoch: int = max(last["epoch"], epoch_in(self._lock)) + 1
        self._base: float = last["at"]
        self._opened = clock.seconds()
        name_holder(self._lock, self.epoch)
        if durable:
            sync_folder(folder)

    def elapsed(self) -> float:
        """Seconds that the search has run, over all its openings."""
        return float(self._base + self._clock.seconds() - self._opened)

    def append(self, kind: str, **fields: Any) -> Event:
        """Writes one event and returns it; it is durable when this, or its block, is through.

        Raises:
            OSError: the disk refuses; the journal then ends with its last whole event.
        """
        if self.broken:
            raise OSError(errno.EIO, "the disk has refused earlier events", str(self.path))
        event = {
            "seq": self._seq + 1,
            "epoch": self.epoch,
            "at": round(self.elapsed(), 3),
            "time": self._clock.stamp(),
            "kind": kind,
            **fields,
        }
        line = seal(event)
        self._insist(line)
        self._unsynced.append(line)
        self._seq += 1
        self._size += len(line)
        if self._push is not None:
            self._unpushed += line
        if not self._blocks:
            self._sync()
        return event

    def together(self) -> AbstractContextManager[object]:
        """The block's events share one wait for the disk, at its end; blocks may be nested.

        Nothing that was journaled in the block may be acted upon before it has ended.

        Raises:
            OSError: the disk refuses the wait; the journal ends where the block began, and as
                its events were counted on, it is ``broken``: open it anew.
        """
        return self._block

    def _begin_block(self) -> None:
        self._blocks += 1

    def _end_block(self) -> None:
        self._blocks -= 1
        if not self._blocks:
            try:
                self._sync()
            except (OSError, ToprungError):
                self.broken = True
                raise

    def wait(self, why: str, seconds: float) -> bool:
        """Waits for room on some storage of the search, at most so long; whether to try again.

        Search time stands still meanwhile.
        """
        began = self._clock.seconds()
        try:
            return self._patience.wait(why, seconds)
        finally:
            self._opened += self._clock.seconds() - began

    def goes_on(self) -> None:
        """Tells that what was waited for has come."""
        self._patience.over()

    def _insist(self, data: bytes) -> None:
        """Puts bytes at the end, or nothing of them; waits where there is no room."""
        refused = False
        while True:
            try:
                if refused:
                    self._file.truncate(self._size)
                rest = memoryview(data)
                while rest:
                    rest = rest[self._file.write(rest) :]
                break
            except OSError as error:
                refused = True
                with suppress(OSError):
                    self._file.truncate(self._size)
                if error.errno not in NO_ROOM or not self.wait(self._refusal(error), 1.0):
                    raise
        if refused:
            self._patience.over()

    def _refusal(self, error: OSError) -> str:
        return f"{error.strerror or error} ({self.path})"

    def _sync(self) -> None:
        while self._durable and self._unsynced:
            try:
                os.fsync(self._file.fileno())
                break
            except OSError as error:
                lines, at = self._unsynced, (self._seq, self._size)
                self._seq, self._size = self._durable_to
                self._unsynced = []
                with suppress(OSError):
                    self._file.truncate(self._size)
                if error.errno not in NO_ROOM or not self.wait(self._refusal(error), 1.0):
                    self._unpushed.clear()
                    raise
                # What the system could not put on the disk it may have dropped: written again.
                self._insist(b"".join(lines))
                self._unsynced, (self._seq, self._size) = lines, at
        self._unsynced.clear()
        if self._push is not None and self._unpushed:
            self._hand_on(self._push)
        self._durable_to = (self._seq, self._size)

    def _hand_on(self, push: Callable[[bytes], None]) -> None:
        """Gives the lines on; waits where what takes them does not answer."""
        refused = False
        while True:
            try:
                push(bytes(self._unpushed))
                break
            except (OSError, ToprungError) as error:
                refused = True
                away = isinstance(error, OSError) and error.errno == AWAY
                if away and self.wait(str(error), 1.0):
                    continue
                # Whether the lines arrived is not known; opening the journal anew tells.
                self.broken = True
                self._take_back()
                raise
        self._unpushed.clear()
        if refused:
            self._patience.over()

    def _take_back(self) -> None:
        self._seq, self._size = self._durable_to
        self._file.truncate(self._size)
        self._unpushed.clear()

    def close(self) -> None:
        """Closes the file and gives the lock back."""
        self._file.close()
        self._lock.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
