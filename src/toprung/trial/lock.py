"""The lock of a search's folder: one driver at a time, and who it is."""

from __future__ import annotations

import fcntl
import json
import os
import socket
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from toprung.core.errors import FixEnvironment

LOCK_NAME = "journal.lock"


@dataclass(frozen=True)
class Holder:
    """The process that drives a search."""

    pid: int
    host: str
    epoch: int

    @property
    def is_here(self) -> bool:
        """Whether it runs on this machine."""
        return self.host == socket.gethostname()


def take_lock(path: Path) -> IO[str]:
    """Takes the lock, for as long as the file is open.

    Raises:
        FixEnvironment: another process holds it, or the file system knows no locks.
    """
    file = path.open("a+", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        holder = file.read().strip() or "unknown"
        file.close()
        raise FixEnvironment(
            f"{path.parent}: another driver is at work on this search ({holder}). "
            f"Wait for it, or stop that process, then try again."
        ) from None
    except OSError as error:
        file.close()
        raise FixEnvironment(
            f"{path}: the file system gives no locks ({error.strerror}), without which two drivers "
            f"could write at once. Mount it with them (Lustre: -o flock), or take another folder."
        ) from None
    return file


def epoch_in(file: IO[str]) -> int:
    """The epoch of whoever held a lock last; 0 where it does not say."""
    file.seek(0)
    try:
        return int(json.loads(file.read())["epoch"])
    except (ValueError, KeyError, TypeError):
        return 0


def name_holder(file: IO[str], epoch: int) -> None:
    """Writes this process into a lock that it holds."""
    file.seek(0)
    file.truncate()
    file.write(json.dumps(asdict(Holder(os.getpid(), socket.gethostname(), epoch))))
    file.flush()


def lock_holder(path: Path) -> Holder | None:
    """Who holds a lock now; None where nobody does, as far as its file system tells."""
    try:
        with path.open("r", encoding="utf-8") as file:
            said = file.read()
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return None
    except BlockingIOError:
        try:
            known = json.loads(said)
            return Holder(int(known["pid"]), str(known["host"]), int(known["epoch"]))
        except (ValueError, KeyError, TypeError):
            return Holder(0, "unknown", 0)
    except OSError:
        return None
