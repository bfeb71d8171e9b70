"""The journal: what happened in a search, in order, durable, with one writer."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from toprung.core.clock import Clock
from toprung.core.errors import FixEnvironment
from toprung.core.files import parse_json, sync_folder
from toprung.trial.events import problem_of

Event = Mapping[str, Any]

JOURNAL_NAME = "journal.jsonl"
LOCK_NAME = "journal.lock"

_to_json = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode


def read_events(path: Path) -> list[Event]:
    """The events of a journal, oldest first; a torn last line is left out.

    Raises:
        FixEnvironment: a line before the last is not an event, or the numbering has a gap.
    """
    events: list[Event] = []
    whole, _ = _whole_lines(path)
    for number, line in enumerate(whole, 1):
        try:
            event = parse_json(line)
            wrong = problem_of(event, number)
        except ValueError as error:
            wrong = f"not JSON ({error})"
        if wrong is not None:
            raise FixEnvironment(
                f"{path}:{number}: not the event that belongs here: {wrong}. The file was "
                f"changed or damaged; restore it from a copy, or cut it before line {number} to "
                f"go on from there."
            )
        events.append(event)
    return events


def _whole_lines(path: Path) -> tuple[list[str], int]:
    """Every line that was written whole, and their length in bytes."""
    data = path.read_bytes() if path.exists() else b""
    end = data.rfind(b"\n") + 1
    # Not splitlines(): names and reasons may hold line separators that JSON does not escape.
    return data[:end].decode("utf-8", errors="replace").split("\n")[:-1], end


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


class Journal:
    """An append-only file of events; each is on disk before ``append`` returns.

    Inside ``together`` all are on disk when the block ends, with one wait for the disk.

    One driver at a time writes: the lock file is held with ``flock`` and names the holder. Each
    opening has a higher epoch, which stands in every event it writes.

    Attributes:
        earlier: the events that stood in the file when it was opened.
        epoch: of this opening, from 1.
        broken: whether events that were taken as written are lost; nothing more is written then.
    """

    def __init__(self, folder: Path, clock: Clock, *, durable: bool = True) -> None:
        """Opens or begins the journal of a search's folder.

        Args:
            folder: of the search; it is made where absent.
            clock: for stamps and for the seconds that the search has run.
            durable: whether each append waits for the disk; off only for simulations.

        Raises:
            FixEnvironment: another driver holds the lock, or the journal is damaged.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / JOURNAL_NAME
        self._clock = clock
        self._durable = durable
        self._lock = _take_lock(folder / LOCK_NAME)
        self.earlier: Sequence[Event] = read_events(self.path)
        _, end = _whole_lines(self.path)
        # Unbuffered: what the disk refused must not turn up in a later write.
        self._file = self.path.open("ab", buffering=0)
        self._file.truncate(end)
        last: Event = self.earlier[-1] if self.earlier else {"seq": 0, "epoch": 0, "at": 0.0}
        self._seq: int = last["seq"]
        self._size = end
        self._durable_to = (self._seq, self._size)
        self._blocks = 0
        self._block = Block(self._begin_block, self._end_block)
        self.broken = False
        self.epoch: int = last["epoch"] + 1
        self._base: float = last["at"]
        self._opened = clock.seconds()
        _name_holder(self._lock, self.epoch)
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
        line = _to_json(event).encode() + b"\n"
        rest = memoryview(line)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError:
            self._file.truncate(self._size)
            raise
        self._seq += 1
        self._size += len(line)
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
            except OSError:
                self.broken = True
                raise

    def _sync(self) -> None:
        if self._durable and self._size > self._durable_to[1]:
            try:
                os.fsync(self._file.fileno())
            except OSError:
                self._seq, self._size = self._durable_to
                self._file.truncate(self._size)
                raise
        self._durable_to = (self._seq, self._size)

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


def _take_lock(path: Path) -> IO[str]:
    file = path.open("a+", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.seek(0)
        holder = file.read().strip() or "unknown"
        file.close()
        raise FixEnvironment(
            f"{path.parent}: another driver is at work on this search ({holder}). "
            f"Wait for it, or stop that process, then try again."
        ) from None
    return file


def _name_holder(file: IO[str], epoch: int) -> None:
    file.seek(0)
    file.truncate()
    file.write(json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "epoch": epoch}))
    file.flush()
