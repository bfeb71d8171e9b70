"""A search's folder on this machine, beside the storage that keeps it."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import IO

from toprung.core.errors import FixEnvironment
from toprung.core.files import files_below, sha256_file, write_bytes
from toprung.storage.lease import Lease
from toprung.storage.segments import Fenced, Segments, Writer
from toprung.storage.sign import PAUSE
from toprung.storage.store import Store, file_of

_VIEWS = (
    *("spec.yaml", "environment.json", "forecast.json", "leaderboard.csv", "metrics.csv"),
    *("report.md", "report.html"),
)
_FOLDERS = ("ensemble", "predictions")
_WEIGHTS = ".safetensors"
_LAST = ("ensemble.json", "contenders.json")
"""Files that name those beside them, and so go after them."""


class Mirror:
    """Keeps a folder and a storage alike: the journal always, the rest when it is asked to.

    The storage is the truth. The folder is what a search works in on this machine, and may be
    removed whenever no search does. Trials' files are not its business: whoever trains puts them.
    """

    def __init__(self, store: Store, root: Path, journal: str) -> None:
        """Names both sides.

        Args:
            store: of the search.
            root: of the search on this machine.
            journal: name of the journal's file below it.
        """
        self.store, self.root = store, root
        self._journal = root / journal
        self._segments: Segments | None = None
        self._known: dict[str, tuple[int, int]] = {}

    def push(self, lines: bytes) -> None:
        """Puts lines of the journal on the storage.

        Raises:
            Fenced: another driver has taken the search over.
            StorageError: the storage does not answer.
        """
        assert self._segments is not None
        self._segments.push(lines)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """The block is the one driver of the search; what it wrote is published at the end.

        Raises:
            FixEnvironment: another driver is at work, here or on another machine.
        """
        writer = Writer()
        with _locked(self._lock("pull")):
            held = _try_lock(self._lock("driver"))
            if held is None:
                raise FixEnvironment(
                    f"{self.store.url}: another driver is at work on this search on this "
                    f"machine. Wait for it, or stop that process, then try again."
                )
        with held:
            lease = Lease(self.store, writer)
            lease.take()
            fenced = False
            try:
                self._segments = Segments(self.store, writer)
                self._pull(self._segments)
                self.store.delete([PAUSE])
                try:
                    yield
                except Fenced:
                    fenced = True
                    raise
                except BaseException:
                    # What ended the block is told; views can be made again from the journal.
                    with suppress(OSError):
                        self.publish()
                    raise
                self.publish()
            finally:
                self._segments = None
                lease.give_back(leave=fenced)

    def refresh(self) -> bool:
        """Brings the folder up to date to be read; a driver of this machine does so itself.

        Returns:
            Whether it was this call that did.
        """
        with _locked(self._lock("pull")):
            held = _try_lock(self._lock("driver"))
            if held is None:
                return False
            with held:
                self._pull(Segments(self.store, Writer()))
            return True

    def publish(self, *replaced: str) -> None:
        """Puts what has changed since the folder was last like the storage.

        Args:
            replaced: folders that were made anew; what is no longer in them goes there too.
        """
        changed = [name for name, state in self._state().items() if self._known.get(name) != state]
        for name in sorted(changed, key=lambda name: (name.endswith(_LAST), name)):
            state = self._state_of(self.root / name)
            self.store.upload(self.root / name, name)
            self._known[name] = state
        for folder in replaced:
            there = self.store.sizes(folder)
            self.store.delete(key for key in there if not (self.root / key).is_file())

    def fetch_weights(self) -> None:
        """Has the ensemble's weights in the folder, which opening a search leaves out."""
        with _locked(self._lock("pull")):
            named = _named_hashes(self.root / "ensemble")
            for key, size in self.store.sizes("ensemble").items():
                file = self.root / key
                if file.is_file() and file.stat().st_size == size:
                    expected = named.get(key)
                    if expected is None or sha256_file(file) == expected:
                        continue
                self.store.download(key, file_of(self.root, key))

    def ask_to_pause(self) -> None:
        """Leaves the mark that trials on other machines look for; returns at once.

        In a thread: a signal may have come amid a call of the storage's library. A driver whose
        search another one has taken over leaves none: it would pause the other's trials.
        """
        segments = self._segments

        def leave() -> None:
            with suppress(OSError):
                if segments is None or not segments.is_displaced():
                    self.store.put(PAUSE, b"")

        Thread(target=leave, name="pause", daemon=True).start()

    def _pull(self, segments: Segments) -> None:
        lines = segments.read()
        self.root.mkdir(parents=True, exist_ok=True)
        if lines:
            write_bytes(self._journal, lines)
        else:
            self._journal.unlink(missing_ok=True)
        there = set(self.store.children())
        found = self.store.get_all(name for name in _VIEWS if name in there)
        wanted = [name for name in _FOLDERS if name in there]
        folders = {key: size for name in wanted for key, size in self.store.sizes(name).items()}
        found |= self.store.get_all(key for key in folders if not key.endswith(_WEIGHTS))
        for name in self._state():
            stale = name not in found and (
                name not in folders or (self.root / name).stat().st_size != folders[name]
            )
            if stale:
                (self.root / name).unlink()
        for name, data in found.items():
            write_bytes(file_of(self.root, name), data)
        self._known = self._state()

    def _state(self) -> dict[str, tuple[int, int]]:
        """What tells a changed file from an unchanged one, of every file that is published."""
        files = [self.root / name for name in _VIEWS]
        for name in _FOLDERS:
            files += files_below(self.root / name)
        return {
            file.relative_to(self.root).as_posix(): self._state_of(file)
            for file in files
            if file.is_file() and not file.name.endswith(".tmp")
        }

    def _state_of(self, file: Path) -> tuple[int, int]:
        about = file.stat()
        return about.st_mtime_ns, about.st_size

    def _lock(self, what: str) -> Path:
        """Beside the folder: it may not exist yet."""
        return self.root.with_name(f".{self.root.name}.{what}.lock")


def _named_hashes(ensemble: Path) -> dict[str, str]:
    """SHA-256 of the members' files by key, as ``ensemble.json`` has them."""
    try:
        members = json.loads((ensemble / "ensemble.json").read_text(encoding="utf-8"))["members"]
        return {
            f"ensemble/members/{member['trial']}/{name}": digest
            for member in members
            for name, digest in member["files"].items()
        }
    except (OSError, ValueError, KeyError, TypeError):
        return {}


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Waits for a lock of this machine's processes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _try_lock(path: Path) -> IO[str] | None:
    """The lock, held until it is closed; None where a process has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("a", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    return file
