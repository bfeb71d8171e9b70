"""Opens a file of rows by its name, and says what to do where it cannot be read."""

from __future__ import annotations

import gzip
import io
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from toprung.core.registry import nearest
from toprung.data.formats import registry
from toprung.data.rows import Broken, Columns, Row

_FREE_BYTES, _MOST_RATIO = 1 << 24, 100
_ZIPPED, _GZIPPED, _PARQUET = b"PK\x03\x04", b"\x1f\x8b", b"PAR1"


def extensions() -> list[str]:
    """Every extension that a file of rows may end in."""
    return [f".{name}{end}" for name in registry.names() for end in ("", ".gz")]


def format_of(path: Path) -> str | None:
    """The format by a file's name; None where it is no file of rows.

    >>> format_of(Path("train.jsonl.gz")), format_of(Path("notes.txt"))
    ('jsonl', None)
    """
    name = path.name.lower().removesuffix(".gz")
    ending = name.rpartition(".")[2]
    return ending if "." in name and ending in registry.names() else None


def read_rows(path: Path, columns: Columns) -> Iterator[Row]:
    """The rows of a file in order, one at a time.

    Raises:
        Broken: no such file, an unknown extension, not what its extension says, damaged.
    """
    if not path.is_file():
        raise Broken(None, _absent(path))
    name = format_of(path)
    if name is None:
        known = ", ".join(extensions())
        raise Broken(None, f"'{path.suffix}' is no known extension. Known: {known}.")
    line = 0
    try:
        with _opened(path, name) as file:
            for row in registry.get(name)().read(file, columns):
                line = row.line
                yield row
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        after = f" after line {line}" if line else ""
        text = f"the gzip file is cut short or damaged{after}. Copy or compress it again."
        raise Broken(line + 1, text) from error
    except OSError as error:
        raise Broken(None, f"cannot be read: {error.strerror or error}.") from error


@contextmanager
def _opened(path: Path, name: str) -> Iterator[IO[bytes]]:
    zipped = path.name.lower().endswith(".gz")
    with path.open("rb") as raw:
        start = raw.read(4)
        raw.seek(0)
        if not start:
            raise Broken(None, "the file is empty (0 bytes). Add rows.")
        if zipped and not start.startswith(_GZIPPED):
            raise Broken(None, "the name ends in .gz, but it is not gzip. Rename it without .gz.")
        if not zipped and start.startswith(_GZIPPED):
            raise Broken(None, f"the file is gzip. Rename it to {path.name}.gz.")
        if start == _ZIPPED:
            raise Broken(None, "the file is a zip archive or Excel workbook. Save it as .csv.")
        if name != "parquet" and start == _PARQUET:
            raise Broken(None, "the file is Parquet. Rename it to end in .parquet.")
        yield cast(IO[bytes], io.BufferedReader(_Unzipped(raw), 1 << 16)) if zipped else raw


class _Unzipped(io.RawIOBase):
    """What a gzip file unpacks to, up to a hundred times its size.

    Raises:
        Broken: it unpacks to more; text never does.
    """

    def __init__(self, raw: IO[bytes]) -> None:
        self._raw = raw
        self._zipped = gzip.GzipFile(fileobj=raw)
        self._given = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._zipped.seek(offset, whence)

    def tell(self) -> int:
        return self._zipped.tell()

    def readinto(self, buffer: Any) -> int:
        piece = self._zipped.read(len(buffer))
        buffer[: len(piece)] = piece
        self._given += len(piece)
        if self._given > max(_FREE_BYTES, _MOST_RATIO * self._raw.tell()):
            raise Broken(
                None,
                f"the gzip file unpacks to more than {_MOST_RATIO} times its size, which no text "
                "does. Unpack it, see what it holds, and give the rows themselves.",
            )
        return len(piece)


def _absent(path: Path) -> str:
    folder = path.parent
    if not folder.is_dir():
        return f"no such file; nor is there a folder {folder}. Correct the path."
    if path.is_dir():
        return "a folder, not a file. Give a folder as data.path."
    there = sorted(child.name for child in folder.iterdir() if format_of(child))[:20]
    if not there:
        return "no such file, and no file of rows in its folder. Correct the path."
    return f"no such file. {nearest(path.name, there)}"
