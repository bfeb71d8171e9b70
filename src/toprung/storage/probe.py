"""Whether a node reaches the results: one small object written, read, listed and deleted."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path

from toprung.core.clock import Clock, SystemClock
from toprung.storage.store import Store, is_url, open_store

FOLDER = ".probe"


@dataclass(frozen=True)
class Probed:
    """What a node found: milliseconds of each step, or what is wrong, in words."""

    node: str
    milliseconds: dict[str, float]
    problem: str | None = None


def store_of(results: str) -> Store:
    """The storage of a place for results, which may be a path."""
    if is_url(results):
        return open_store(results)
    return Store(f"file://{Path(results).resolve().as_posix()}")


def leave_mark(results: str, token: str) -> None:
    """Writes what every node must then find.

    Raises:
        OSError: nothing can be written there.
    """
    if not is_url(results):
        (Path(results) / FOLDER).mkdir(parents=True, exist_ok=True)
    store_of(results).put(f"{FOLDER}/{token}", token.encode())


def remove_mark(results: str, token: str) -> None:
    """Takes it away again."""
    store_of(results).delete([f"{FOLDER}/{token}"])
    if not is_url(results):
        folder = Path(results) / FOLDER
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def probe(results: str, token: str, clock: Clock | None = None) -> Probed:
    """Tries a place for results from the node that this runs on.

    Args:
        results: path or URL.
        token: of the mark that the driver has left; nodes that do not see it share nothing.
        clock: for latencies.
    """
    time, name = clock or SystemClock(), f"{socket.gethostname()}"
    own = f"{FOLDER}/{token}-{name}-{os.getpid()}"
    took: dict[str, float] = {}
    began = time.seconds()

    def lap(step: str) -> None:
        nonlocal began
        now = time.seconds()
        took[step], began = round((now - began) * 1000, 1), now

    try:
        store = store_of(results)
        if not _sees(store, token):
            text = "does not see what the driver wrote there: it is not shared between nodes"
            return Probed(name, took, text)
        lap("shared")
        store.put(own, own.encode())
        lap("write")
        if store.get(own) != own.encode():
            return Probed(name, took, "reads back something other than what it wrote")
        lap("read")
        if own not in store.sizes(FOLDER):
            return Probed(name, took, "cannot list what it wrote")
        lap("list")
        store.delete([own])
        if own in store.sizes(FOLDER):
            return Probed(name, took, "cannot delete what it wrote")
        lap("delete")
    # The edge of a node: what its storage or its environment lacks is told, not raised.
    except Exception as error:
        return Probed(name, took, f"{type(error).__name__}: {error}")
    return Probed(name, took)


def holds_back_a_second_writer(results: str, token: str) -> bool:
    """Whether a storage refuses to put an object whose name is taken."""
    store, key = store_of(results), f"{FOLDER}/{token}-once"
    try:
        store.put_new(key, b"first")
        store.put_new(key, b"second")
    except FileExistsError:
        return store.get(key) == b"first"
    finally:
        store.delete([key])
    return False


def _sees(store: Store, token: str) -> bool:
    try:
        return store.get(f"{FOLDER}/{token}") == token.encode()
    except FileNotFoundError:
        return False
