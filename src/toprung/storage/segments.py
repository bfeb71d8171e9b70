"""A journal as numbered objects: each is put once, and two writers cannot both go on."""

from __future__ import annotations

import json
import os
import re
import secrets
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field

from toprung.core.errors import FixEnvironment
from toprung.storage.store import Store

JOURNAL = "journal"
_NAME = re.compile(rf"{JOURNAL}/(\d{{8}})\.jsonl\Z")
_COMPACTED = re.compile(rf"{JOURNAL}/upto-(\d{{8}})\.jsonl\Z")
_COMPACT_EVERY = 256


class Fenced(FixEnvironment):
    """Another driver has taken the search over; this one must not go on."""


def _token() -> str:
    # Not seeded: two drivers of one search must differ, whatever its seed.
    return secrets.token_hex(8)


@dataclass(frozen=True)
class Writer:
    """Who writes: a process, and which of its openings."""

    host: str = field(default_factory=socket.gethostname)
    pid: int = field(default_factory=os.getpid)
    token: str = field(default_factory=_token)

    def words(self) -> str:
        """The process, for people.

        >>> Writer("node7", 12, "x").words()
        'pid 12 on node7'
        """
        return f"pid {self.pid} on {self.host}"


class Segments:
    """A journal's lines, in the order of their numbers, as objects ``journal/<number>.jsonl``.

    A segment holds what one wait for the disk made durable, under a first line that names its
    writer. It is put only if nobody has put one of its number. So a driver that was taken for
    dead cannot add a line that the one after it has not read: its next number is taken. A torn
    segment cannot exist. Source: the log protocol of Armbrust et al. 2020, "Delta Lake".

    Every so many segments their lines are also put as one object, ``journal/upto-<number>.jsonl``,
    so that a long journal is read with few requests. The segments stay: a number that was taken
    fences its latecomers for ever.
    """

    def __init__(self, store: Store, writer: Writer) -> None:
        """Names the place; ``read`` must come before the first ``push``."""
        self._store, self._writer = store, writer
        self._count = 0
        self._so_far = bytearray()

    def read(self) -> bytes:
        """All lines so far.

        Raises:
            FixEnvironment: a segment is missing among others, or is not one.
        """
        sizes = self._store.sizes(JOURNAL)
        keys = _segment_keys(self._store, sizes)
        self._count = len(keys)
        compacted = _newest_compacted(sizes, self._count)
        if compacted is not None:
            key, upto = compacted
            keys = [key, *keys[upto:]]
        found = self._store.get_all(keys)
        self._so_far = bytearray()
        for key in keys:
            self._so_far += _lines(self._store, key, found[key])
        return bytes(self._so_far)

    def push(self, lines: bytes) -> None:
        """Puts the next segment; the lines are durable, and this writer's, when it returns.

        Raises:
            Fenced: another writer has put one of this number.
            StorageError: the storage does not answer; whether it took the lines is not known.
        """
        key = self._next_key()
        data = self._first_line() + lines
        try:
            self._store.put_new(key, data)
        except FileExistsError:
            there = self._store.get(key)
            # Its own, where the answer to a first try was lost.
            if there != data:
                raise Fenced(
                    f"{self._store.url}: another driver ({_writer_of(there)}) has taken this "
                    f"search over. This one stops; what it had journaled before is kept."
                ) from None
        self._count += 1
        self._so_far += lines
        if self._count % _COMPACT_EVERY == 0:
            self._compact()

    def is_displaced(self) -> bool:
        """Whether another writer has put the next segment already; for any thread.

        Raises:
            StorageError: the storage does not answer.
        """
        key = self._next_key()
        return self._store.has(key) and not self._store.get(key).startswith(self._first_line())

    def _next_key(self) -> str:
        return f"{JOURNAL}/{self._count + 1:08d}.jsonl"

    def _first_line(self) -> bytes:
        return json.dumps({"writer": asdict(self._writer)}).encode() + b"\n"

    def _compact(self) -> None:
        """Puts all lines so far as one object; without it reading only takes longer."""
        with suppress(OSError):
            self._store.put(_compacted_key(self._count), self._first_line() + self._so_far)
            # A reader may be about to read the one before this one, not the one before that.
            self._store.delete([_compacted_key(self._count - 2 * _COMPACT_EVERY)])


def has_segments(store: Store) -> bool:
    """Whether a search was begun there."""
    return bool(_segment_keys(store, store.sizes(JOURNAL)))


def _compacted_key(count: int) -> str:
    return f"{JOURNAL}/upto-{count:08d}.jsonl"


def _newest_compacted(sizes: Mapping[str, int], count: int) -> tuple[str, int] | None:
    """Key of the object that holds the most segments of those that are there, and how many."""
    found = {key: int(match[1]) for key in sizes if (match := _COMPACTED.match(key))}
    fitting = [(key, upto) for key, upto in found.items() if upto <= count]
    return max(fitting, key=lambda one: one[1], default=None)


def _segment_keys(store: Store, sizes: Mapping[str, int]) -> list[str]:
    keys = [key for key in sizes if _NAME.match(key)]
    expected = [f"{JOURNAL}/{number:08d}.jsonl" for number in range(1, len(keys) + 1)]
    if keys != expected:
        missing = next(key for key in expected if key not in keys)
        raise FixEnvironment(
            f"{store.url}: {missing} is missing among later ones. Bring it back, or remove the "
            f"segments after it to go on from there."
        )
    return keys


def _lines(store: Store, key: str, data: bytes) -> bytes:
    first, _, lines = data.partition(b"\n")
    if not first.startswith(b'{"writer"') or not lines.endswith(b"\n"):
        raise FixEnvironment(
            f"{store.url}/{key} is no segment of a journal. It was changed or damaged; bring it "
            f"back, or remove it and those after it to go on from there."
        )
    return lines


def _writer_of(data: bytes) -> str:
    try:
        said = json.loads(data.partition(b"\n")[0])["writer"]
        return Writer(str(said["host"]), int(said["pid"]), "").words()
    except (ValueError, KeyError, TypeError):
        return "unknown"
