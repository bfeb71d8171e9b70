"""Files that are whole or absent: written aside, synced, then renamed."""

from __future__ import annotations

import csv
import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

NO_ROOM = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EROFS))
"""What storage answers that is full, or may only be read: a person can mend it meanwhile."""
AWAY = errno.EHOSTUNREACH
"""Of an error that says that a storage under a URL does not answer: it may answer later."""
MOST_JSON_BYTES = 16 << 20
"""Of one JSON file: what is written here is far smaller, and in memory it grows thirtyfold."""
_LONGEST_NAME = 1000


def sha256_file(path: Path) -> str:
    """The file's SHA-256 in hexadecimal, read in pieces of 1 MiB."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def sync_folder(folder: Path) -> None:
    """Makes a rename or a new name in the folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    """Writes the whole file as UTF-8 or leaves the old one."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, data: bytes) -> None:
    """Writes the whole file or leaves the old one: temporary name, fsync, rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with aside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    sync_folder(path.parent)


def write_json(path: Path, value: Any) -> None:
    """Writes JSON with sorted keys and an indent of two; NaN is refused."""
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n")


def read_json(path: Path, *, most_bytes: int = MOST_JSON_BYTES) -> Any:
    """Reads one JSON file as UTF-8.

    Raises:
        OSError: there is no such plain file.
        ValueError: larger than ``most_bytes``, not UTF-8, no JSON, or nested too deeply.
    """
    if not path.is_file():  # a pipe of that name would be waited for without end
        raise FileNotFoundError(errno.ENOENT, "no such file", str(path))
    with path.open("rb") as file:
        data = file.read(most_bytes + 1)
    if len(data) > most_bytes:
        raise ValueError(f"{path} has more than {most_bytes:,} bytes")
    return parse_json(data.decode("utf-8"))


def parse_json(text: str) -> Any:
    """The value of a JSON text, wherever the text comes from.

    Raises:
        ValueError: no JSON, nested too deeply, or with half of a surrogate pair, which is no text.

    >>> parse_json("[" * 100_000)
    Traceback (most recent call last):
    ValueError: nested too deeply
    """
    try:
        value = json.loads(text)
        if "\\ud" in text or "\\uD" in text:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return value


def inside(folder: Path, name: str) -> Path:
    """The path of a name below a folder, where the name may come from anywhere.

    Raises:
        ValueError: the name is empty, absolute, too long or no name, or it leads out of the
            folder, be it by a link.

    >>> inside(Path("/srv/mine"), "trials/t0001").as_posix()
    '/srv/mine/trials/t0001'
    >>> inside(Path("/srv/mine"), "../other")
    Traceback (most recent call last):
    ValueError: '../other' is no name below a folder
    """
    plain = PurePosixPath(name)
    odd = not name or len(name) > _LONGEST_NAME or "\0" in name or "\\" in name
    if odd or plain.is_absolute() or ".." in plain.parts:
        raise ValueError(f"{name[:100]!r} is no name below a folder")
    try:
        is_below = (folder / name).resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError) as error:  # links that go round
        raise ValueError(f"{name[:100]!r} cannot be followed: {error}") from None
    if not is_below:
        raise ValueError(f"{name[:100]!r} leads out of its folder")
    return folder / name


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Writes a CSV file whole, with a header and Unix line ends."""
    lines: list[str] = []

    class _Lines:
        def write(self, text: str) -> int:
            lines.append(text)
            return len(text)

    writer = csv.writer(_Lines(), lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write_text(path, "".join(lines))


def files_below(folder: Path) -> list[Path]:
    """Every file below a folder, sorted; folders that others remove meanwhile are left out.

    ``Path.rglob`` raises at such a folder.
    """
    return sorted(Path(where, name) for where, _, names in os.walk(folder) for name in names)


def sweep(folder: Path) -> None:
    """Removes what writers that were killed left half done, anywhere below the folder."""
    for where, folders, files in os.walk(folder):
        for name in filter(_is_half_done, files):
            Path(where, name).unlink(missing_ok=True)
        for name in filter(_is_half_done, folders):
            shutil.rmtree(Path(where, name), ignore_errors=True)
        folders[:] = [name for name in folders if not _is_half_done(name)]


def _is_half_done(name: str) -> bool:
    return name.startswith(".") and name.endswith((".tmp", ".old"))


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A folder that appears under its name only when the block ends without an error.

    Every file in it is synced first. An older folder of that name is replaced.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    try:
        yield aside
        for file in files_below(aside):
            with file.open("rb") as opened:
                os.fsync(opened.fileno())
        sync_folder(aside)
        old = path.with_name(f".{path.name}.{os.getpid()}.old")
        if path.exists():
            path.replace(old)
        aside.replace(path)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    sync_folder(path.parent)
