"""Checkpoints and predictions of trials on a storage, for whichever node goes on with them."""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from toprung.core.files import new_folder, sha256_file
from toprung.core.later import later
from toprung.storage.store import Store, file_of

saved = later("toprung.learn.checkpoint")

CHECKPOINTS, PREDICTIONS = "checkpoints", "predictions"
_LOCK = "node.lock"
_FREE_SHARE = 0.2


@dataclass(frozen=True)
class _There:
    """A whole checkpoint on the storage.

    Attributes:
        name: of its folder on a node: a resource, or ``partial``.
        key: of its folder on the storage; ends in the hash of its manifest.
        sizes: bytes of its files by name.
    """

    name: str
    key: str
    sizes: Mapping[str, int]

    @property
    def goes_on(self) -> bool:
        """Whether training can go on from it; of others the weights alone are left."""
        return saved.TRAINING in self.sizes


@dataclass(frozen=True)
class Kept:
    """What trials keep on a storage, beside their folders on this node.

    A checkpoint is a folder of objects that is named by the hash of its manifest, which is put
    last. So two workers that both trained a trial, one of them given up for dead, never mix their
    files, and a checkpoint that is half there is none.

    Attributes:
        store: of the search.
        folder: of trials on this node.
    """

    store: Store
    folder: Path

    @contextmanager
    def at_hand(self, trial: str) -> Iterator[None]:
        """The block trains a trial on this node, from what is newest of it anywhere.

        What other trials left here is fetched again if it is needed, so it goes, the oldest
        first, while less than a fifth of the node's disk is free.
        """
        folder = self.folder / trial
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / _LOCK).open("a", encoding="utf-8") as held:
            fcntl.flock(held, fcntl.LOCK_SH)
            self.make_room(_FREE_SHARE)
            self.fetch(trial)
            yield

    def make_room(self, share: float) -> None:
        """Removes copies that no trial on this node works with, while less of the disk is free."""
        for trial in sorted(self.folder.iterdir(), key=_last_change):
            usage = shutil.disk_usage(self.folder)
            if usage.free >= share * usage.total:
                return
            if not (trial / _LOCK).is_file():
                continue
            with (trial / _LOCK).open("a", encoding="utf-8") as lock, suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(trial / CHECKPOINTS, ignore_errors=True)

    def fetch(self, trial: str) -> None:
        """Has a trial's newest checkpoints on this node: what to go on from, and one to fall to."""
        there = sorted(self._there(trial), key=_progress, reverse=True)
        own = saved.examples_in(self.folder / trial / CHECKPOINTS / saved.PARTIAL)
        for one in there:
            if not one.goes_on or (one.name == saved.PARTIAL and self._seen(one) <= own):
                continue
            sound = self._download(trial, one)
            if sound and one.name != saved.PARTIAL:
                return

    def push(self, trial: str, name: str, scores: Mapping[int, float]) -> None:
        """Puts a checkpoint and its predictions; those that it makes needless go.

        Args:
            trial: id.
            name: of the checkpoint; where there is none of that name, nothing happens.
            scores: of the resources that were reported, higher is better.
        """
        local = self.folder / trial / CHECKPOINTS / name
        if not (local / saved.MANIFEST).is_file():
            return
        key = f"trials/{trial}/{CHECKPOINTS}/{name}-{sha256_file(local / saved.MANIFEST)[:16]}"
        if not self.store.has(f"{key}/{saved.MANIFEST}"):
            self._put(trial, local, key)
        if name != saved.PARTIAL:
            self._tidy(trial, int(name), scores)
            return
        for one in self._there(trial):
            if one.name == name and one.key != key:
                self._remove(one)

    def _put(self, trial: str, local: Path, key: str) -> None:
        for file in sorted((self.folder / trial / PREDICTIONS).glob(f"{local.name}.*")):
            self.store.upload(file, f"trials/{trial}/{PREDICTIONS}/{file.name}")
        for file in sorted(
            local.iterdir(), key=lambda file: (file.name == saved.MANIFEST, file.name)
        ):
            self.store.upload(file, f"{key}/{file.name}")

    def bring_weights(self, trial: str, name: str) -> None:
        """Has the weights of a checkpoint on this node, if they are kept."""
        if saved.is_sound(self.folder / trial / CHECKPOINTS / name):
            return
        for one in self._there(trial):
            if one.name == name and self._download(trial, one, leave_out=(saved.TRAINING,)):
                return

    def bring_predictions(self, trial: str, name: str) -> None:
        """Has what was predicted with a checkpoint on this node, if it is kept."""
        predictions = self.folder / trial / PREDICTIONS
        if any(predictions.glob(f"{name}.*")):
            return
        for key in self.store.sizes(f"trials/{trial}/{PREDICTIONS}"):
            file = key.rpartition("/")[2]
            if file.startswith(f"{name}."):
                self.store.download(key, file_of(predictions, file))

    def _there(self, trial: str) -> Iterator[_There]:
        prefix = f"trials/{trial}/{CHECKPOINTS}"
        folders: dict[str, dict[str, int]] = {}
        for key, size in self.store.sizes(prefix).items():
            folder, _, file = key.rpartition("/")
            folders.setdefault(folder, {})[file] = size
        for folder, sizes in folders.items():
            name = folder.rpartition("/")[2].rpartition("-")[0]
            if saved.MANIFEST in sizes and (name == saved.PARTIAL or name.isdecimal()):
                yield _There(name, folder, sizes)

    def _download(self, trial: str, one: _There, leave_out: tuple[str, ...] = ()) -> bool:
        """Has a checkpoint on this node; whether it is what was put."""
        local = self.folder / trial / CHECKPOINTS / one.name
        wanted = [name for name in one.sizes if name not in leave_out]
        if not self._has(local, one, wanted):
            with new_folder(local) as aside:
                for name in wanted:
                    self.store.download(f"{one.key}/{name}", file_of(aside, name))
        sound: bool = saved.is_sound(local)
        return sound

    def _has(self, local: Path, one: _There, wanted: list[str]) -> bool:
        manifest = local / saved.MANIFEST
        if not manifest.is_file() or not one.key.endswith(sha256_file(manifest)[:16]):
            return False
        return all(
            (local / name).is_file() and (local / name).stat().st_size == one.sizes[name]
            for name in wanted
        )

    def _seen(self, one: _There) -> int:
        """How many examples it had seen; -1 where that cannot be read."""
        try:
            return int(json.loads(self.store.get(f"{one.key}/{saved.STATE}"))["examples"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return -1

    def _tidy(self, trial: str, reached: int, scores: Mapping[int, float]) -> None:
        """Removes what a node removes; a worker given up for dead touches nothing after it."""
        there = list(self._there(trial))
        numbers = [int(one.name) for one in there if one.name != saved.PARTIAL]
        whole, trained = saved.kept_checkpoints([n for n in numbers if n <= reached], scores)
        for one in there:
            if one.name == saved.PARTIAL:
                self._remove(one)
            elif int(one.name) == trained:
                self.store.delete([f"{one.key}/{saved.TRAINING}"] * one.goes_on)
            elif int(one.name) < reached and int(one.name) not in whole:
                self._remove(one)

    def _remove(self, one: _There) -> None:
        # The manifest first: what is left of a removal that was cut off is no checkpoint.
        names = sorted(one.sizes, key=lambda name: (name != saved.MANIFEST, name))
        self.store.delete(f"{one.key}/{name}" for name in names)


def _last_change(folder: Path) -> float:
    try:
        return (folder / CHECKPOINTS).stat().st_mtime
    except OSError:
        return 0.0


def _progress(one: _There) -> float:
    """How far a checkpoint is: one between two reports is written after all that are left."""
    return float("inf") if one.name == saved.PARTIAL else float(one.name)
