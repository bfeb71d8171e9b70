"""A sign of life of the driver at work, so that nobody takes a search from it by mistake."""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from dataclasses import asdict
from threading import Event, Thread
from typing import Any

from toprung.core.errors import FixEnvironment
from toprung.storage.segments import Writer
from toprung.storage.store import Store

DRIVER = "driver.json"
BEAT_SECONDS = 5.0
PATIENCE_SECONDS = 16.0


class Lease:
    """An object that its holder writes again every few seconds.

    No clock is compared: who comes looks whether the object changes within its patience. Nothing
    rests on the lease alone; a holder that slept through its own end is fenced by the segments.
    """

    def __init__(
        self,
        store: Store,
        writer: Writer,
        *,
        beat_seconds: float | None = None,
        patience_seconds: float | None = None,
    ) -> None:
        """Prepares the lease of a search.

        Args:
            store: of the search.
            writer: who takes it.
            beat_seconds: between two signs of life; ``BEAT_SECONDS``.
            patience_seconds: without one until a holder counts as dead; ``PATIENCE_SECONDS``.
        """
        self._store, self._writer = store, writer
        self._beat = BEAT_SECONDS if beat_seconds is None else beat_seconds
        self._patience = PATIENCE_SECONDS if patience_seconds is None else patience_seconds
        self._over = Event()
        self._thread = Thread(target=self._live, name="lease", daemon=True)
        self._beats = 0

    def take(self) -> None:
        """Takes the lease, where needed after waiting for a sign of life of its holder.

        Raises:
            FixEnvironment: another driver is at work on the search.
        """
        held = _read(self._store)
        if held is not None and not _is_dead(held, self._writer.host):
            print(
                f"{self._store.url}: {_who(held)} was at work on it; waiting up to "
                f"{self._patience:.0f} s for a sign of life",
                file=sys.stderr,
                flush=True,
            )
            self._wait(held)
        self._write()
        self._thread.start()

    def give_back(self, *, leave: bool = False) -> None:
        """Ends the signs of life; ``leave`` keeps the object, which is another's by now."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()
        if not leave:
            # It only saves the next one a wait.
            with suppress(OSError):
                self._store.delete([DRIVER])

    def _wait(self, held: dict[str, Any]) -> None:
        now = _next_sign(self._store, held, self._beat, self._patience, self._over)
        if now is not None:
            raise FixEnvironment(
                f"{self._store.url}: another driver is at work on this search ({_who(now)}). "
                f"Wait for it, or stop that process, then try again."
            )

    def _live(self) -> None:
        while not self._over.wait(self._beat):
            # A sign of life that is late costs nothing; the next one may get through.
            with suppress(OSError):
                self._write()

    def _write(self) -> None:
        self._beats += 1
        said = {**asdict(self._writer), "beat": self._beats}
        self._store.put(DRIVER, json.dumps(said).encode())


def holder(store: Store, *, beat_seconds: float | None = None) -> Writer | None:
    """Who gives signs of life for a search; None where nobody did for two beats.

    Raises:
        StorageError: the storage does not answer.
    """
    beat = BEAT_SECONDS if beat_seconds is None else beat_seconds
    held = _read(store)
    if held is None or _is_dead(held, Writer().host):
        return None
    now = _next_sign(store, held, beat, 2 * beat, Event())
    if now is None:
        return None
    try:
        return Writer(str(now["host"]), int(now["pid"]), str(now["token"]))
    except (KeyError, TypeError, ValueError):
        return Writer("unknown", 0, "")


def _next_sign(
    store: Store, held: dict[str, Any], beat: float, patience: float, over: Event
) -> dict[str, Any] | None:
    """The lease when it is another than ``held``; None where it goes, or nothing comes in time."""
    waited = 0.0
    while waited < patience:
        step = min(beat / 2, patience - waited)
        over.wait(step)
        waited += step
        now = _read(store)
        if now != held:
            return now
    return None


def _who(held: dict[str, Any]) -> str:
    return f"pid {held.get('pid')} on {held.get('host')}"


def _read(store: Store) -> dict[str, Any] | None:
    try:
        said = json.loads(store.get(DRIVER))
    except (FileNotFoundError, ValueError):
        return None
    return said if isinstance(said, dict) else None


def _is_dead(held: dict[str, Any], here: str) -> bool:
    """Whether the holder was a process of this machine that is no more."""
    if held.get("host") != here or not isinstance(held.get("pid"), int):
        return False
    try:
        os.kill(held["pid"], 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False
