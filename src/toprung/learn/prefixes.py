"""The prefix caches of a node: found by their key, under a disk budget, the oldest evicted."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from toprung.core.files import files_below
from toprung.learn.prefix import Prefix, PrefixKey
from toprung.learn.tokens import Tokens

_SHARE_OF_FREE_DISK = 0.25


@dataclass(frozen=True)
class Prefixes:
    """The prefix caches of a node, under a disk budget.

    Attributes:
        folder: that may be shared between nodes; each start of each has a part of its own.
        most_bytes: that all of them may take; None is a quarter of what is free and theirs.
    """

    folder: Path
    most_bytes: int | None = None

    @cached_property
    def own(self) -> Path:
        """This node's part."""
        try:
            boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        except OSError:
            boot = f"{os.uname().nodename}-{int(time.time() - time.monotonic()) // 60}"
        return self.folder / hashlib.sha256(boot.encode()).hexdigest()[:12]

    def open(self, key: PrefixKey, tokens: Tokens, *, hidden: int, padding: int) -> Prefix | None:
        """The cache of a key; None where the disk has no room for it.

        Caches that were not used for longest go first; those that are open in a process stay.
        """
        folder = self.own / key.name()
        needed = int(tokens.offsets[-1]) * hidden * key.dtype.itemsize
        if not len(tokens) or not self._make_room(folder, needed):
            return None
        try:
            return Prefix(folder, tokens, hidden=hidden, dtype=key.dtype, padding=padding)
        except OSError:
            return None

    def _make_room(self, folder: Path, needed: int) -> bool:
        self.own.mkdir(parents=True, exist_ok=True)
        others = {path: _size(path) for path in self._caches() if path != folder}
        free = shutil.disk_usage(self.own).free
        taken = sum(others.values())
        already = _taken(folder / "states")
        most = self.most_bytes
        if most is None:
            most = int((free + taken + already) * _SHARE_OF_FREE_DISK)
        if needed > most:
            return False
        for path in sorted(others, key=_last_use):
            if taken + needed <= most:
                break
            if _evict(path):
                taken -= others[path]
        return taken + needed <= most

    def _caches(self) -> list[Path]:
        """Of all starts of all nodes; those of an earlier start of this one are never read."""
        return [path for path in self.folder.glob("*/*") if path.is_dir()]


def _taken(path: Path) -> int:
    try:
        return path.stat().st_blocks * 512
    except OSError:
        return 0


def _size(folder: Path) -> int:
    return sum(_taken(path) for path in files_below(folder))


def _last_use(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except OSError:
        return 0.0


def _evict(folder: Path) -> bool:
    """Removes a cache that no process has open."""
    try:
        descriptor = os.open(folder / "lock", os.O_RDWR)
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
