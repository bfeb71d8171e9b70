"""The janitor of a search: keeps what it takes of the disk under its budget."""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from toprung.api.folder import Folder
from toprung.core.files import files_below
from toprung.core.later import later
from toprung.judge.janitor import TRAINING, Removal, choose_removals
from toprung.learn.kept import CHECKPOINTS, PREDICTIONS
from toprung.search.driver import Driver
from toprung.storage.store import StorageError, Store
from toprung.trial.journal import Event

checkpoint = later("toprung.learn.checkpoint")

_SECONDS_BETWEEN = 10.0
_TIMES_BETWEEN = 20.0
"""Looks lie so many times apart as one takes."""
_SHARE_OF_DISK = 0.5


class Janitor:
    """Looks at the disk when trials leave, and removes what the journal says it removes.

    The journal is told first. What a crash leaves of a removal is removed at the next look, as
    what is there and what may go is asked anew each time.
    """

    def __init__(self, folder: Folder, driver: Driver, gib: float | None, finalists: int) -> None:
        """Takes over a search that is open.

        Args:
            folder: of the search.
            driver: whose journal is told.
            gib: budget of ``trials/``; None is half of the disk that is free or taken by it, and
                no limit on a storage.
            finalists: how many configurations are trained for the ensemble.
        """
        self._folder, self._driver, self._finalists = folder, driver, finalists
        self._next = float("-inf")
        self._told_full = False
        self.limit = None if gib is None else int(gib * 2**30)
        if gib is None and folder.store is None:
            free = shutil.disk_usage(folder.root).free
            taken = sum(_sizes_on_disk(folder.trials).values())
            self.limit = int((free + taken) * _SHARE_OF_DISK)

    def __call__(self, event: Event) -> None:
        """Takes note of an event; a trial that leaves may leave something to remove."""
        left = event["kind"] in ("decided", "failed") and event["state"] != "running"
        due = left and event["at"] >= self._next
        if due or event["kind"] in ("closed", "ensembled"):
            began = self._driver.elapsed()
            # A storage that does not answer is looked at another time.
            with suppress(StorageError):
                self.clean()
            # The workers wait meanwhile: of a large search's time no more than a small share.
            now = self._driver.elapsed()
            self._next = now + max(_SECONDS_BETWEEN, _TIMES_BETWEEN * (now - began))

    def clean(self) -> list[Removal]:
        """Removes what must go now; returns it."""
        if self.limit is None:
            return []
        store = self._folder.store
        sizes = _sizes_on_disk(self._folder.trials) if store is None else _sizes_kept(store)
        used = sum(sizes.values())
        metric = self._driver.plan.metric
        removals = choose_removals(
            self._driver.history,
            metric,
            sizes,
            excess=used - self.limit,
            finalists=self._finalists,
        )
        left = used - sum(one.size for one in removals)
        if not removals and (left <= self.limit or self._told_full):
            return []
        self._told_full = left > self.limit
        self._driver.write(
            "cleaned",
            removed=[asdict(one) for one in removals],
            used=used,
            left=left,
            limit=self.limit,
        )
        for one in removals:
            # What cannot be removed now is there at the next look, and counted again.
            with suppress(OSError):
                remove(self._folder, one.item)
        return removals


def remove(folder: Folder, item: str) -> None:
    """Removes an item of the janitor's, here and on the storage; nothing where it is gone."""
    trial, _, rest = item.partition("/")
    path = folder.trials / trial / rest
    if rest.endswith(f"/{TRAINING}"):
        path.with_name(checkpoint.TRAINING).unlink(missing_ok=True)
    elif path.is_dir():
        # One step takes it away from readers; sweeping takes the rest where this is cut off.
        aside = path.with_name(f".{path.name.lstrip('.')}.janitor.old")
        shutil.rmtree(aside, ignore_errors=True)
        path.replace(aside)
        shutil.rmtree(aside, ignore_errors=True)
    if folder.store is not None:
        _remove_kept(folder.store, item)


def _sizes_on_disk(trials: Path) -> dict[str, int]:
    """Bytes of each item below ``trials/``."""
    found: dict[str, int] = {}
    for trial in sorted(trials.iterdir()) if trials.is_dir() else ():
        for folder in sorted((trial / CHECKPOINTS).glob("*")):
            item = f"{trial.name}/{CHECKPOINTS}/{folder.name}"
            found[item] = 0
            for file in files_below(folder):
                extra = f"/{TRAINING}" if file.name == checkpoint.TRAINING else ""
                found[item + extra] = found.get(item + extra, 0) + _size(file)
        taken = sum(_size(file) for file in files_below(trial / PREDICTIONS))
        if taken:
            found[f"{trial.name}/{PREDICTIONS}"] = taken
    return found


def _size(file: Path) -> int:
    """Bytes of a file; 0 where it has just gone."""
    try:
        return file.stat().st_size
    except OSError:
        return 0


def _sizes_kept(store: Store) -> dict[str, int]:
    """Bytes of each item on a storage."""
    return {item: sum(keys.values()) for item, keys in _items_kept(store).items()}


def _remove_kept(store: Store, item: str) -> None:
    keys = _items_kept(store).get(item, {})
    # The manifest first: what is left of a removal that was cut off is no checkpoint.
    store.delete(sorted(keys, key=lambda key: (not key.endswith(checkpoint.MANIFEST), key)))


def _items_kept(store: Store) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for key, size in store.sizes("trials").items():
        _, trial, kind, *rest = key.split("/")
        item = f"{trial}/{kind}"
        if kind == CHECKPOINTS:
            # On a storage the name of a checkpoint ends in its hash.
            item += f"/{rest[0].rpartition('-')[0]}"
            item += f"/{TRAINING}" if rest[-1] == checkpoint.TRAINING else ""
        found.setdefault(item, {})[key] = size
    return found
