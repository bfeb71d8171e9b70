"""One array of an .npz archive: never unpickled, and no larger than the file can mean."""

from __future__ import annotations

import math
import struct
import tokenize
import zipfile
import zlib
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

_FREE_BYTES = 1 << 26
_MOST_RATIO = 100
_PIECE_BYTES = 1 << 24
_LAST_LETTER = 0x10FFFF
_PLAIN = "biufcmMUSV"
DAMAGES = (
    *(EOFError, RuntimeError, NotImplementedError, ValueError, OverflowError, MemoryError),
    *(LookupError, TypeError, SyntaxError, struct.error, tokenize.TokenError, zlib.error),
)
"""What zipfile, zlib and numpy's reader of headers raise over damaged or hostile bytes."""


class NotAnArray(Exception):
    """The member is no array of numbers or texts; the message says what it is."""


def has_odd(name: str) -> bool:
    """Whether a name holds characters that are not printed as they are."""
    return len(name) > 100 or not name.isprintable()


def read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[Any]:
    """The array of a member.

    What its header claims must be what it holds, before memory is taken for it; and where it
    holds more than 64 MiB, that must not be more than a hundred times its size in the archive.

    Raises:
        NotAnArray: Python objects, or no array at all.
        zipfile.BadZipFile, OSError: and whatever is in ``DAMAGES``.
    """
    if member.file_size > max(_FREE_BYTES, _MOST_RATIO * member.compress_size):
        raise zipfile.BadZipFile(
            f"{member.compress_size:,} bytes would unpack to {member.file_size:,}"
        )
    with archive.open(member) as opened:
        shape, is_fortran, dtype = _read_header(opened)
        if dtype.hasobject:
            raise NotAnArray("holds Python objects, which are never unpickled")
        if dtype.kind not in _PLAIN or dtype.subdtype is not None or not dtype.itemsize:
            raise NotAnArray(f"is no array of numbers or texts, but {str(dtype)[:60]!r}")
        size = math.prod(shape) * dtype.itemsize
        if any(extent < 0 for extent in shape) or size != member.file_size - opened.tell():
            raise NotAnArray(f"is no array (its header claims the shape {str(shape)[:60]})")
        data = bytearray(size)
        filled = 0
        while piece := opened.read(min(_PIECE_BYTES, size - filled) or 1):
            data[filled : filled + len(piece)] = piece
            filled += len(piece)
        if filled != size:
            raise EOFError("it ends too early or too late")
    if dtype.kind == "U":
        _check_letters(data, dtype)
    return np.ndarray(shape, dtype, data, order="F" if is_fortran else "C")


def _check_letters(data: bytearray, dtype: np.dtype[Any]) -> None:
    """Refuses texts of numbers that stand for no letter: Python cannot hold them, or not write."""
    points = np.frombuffer(data, np.dtype("u4").newbyteorder(dtype.byteorder))
    if ((points > _LAST_LETTER) | ((points >= 0xD800) & (points < 0xE000))).any():
        raise NotAnArray("holds texts with what is no letter")


def _read_header(opened: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    try:
        version = np.lib.format.read_magic(opened)
        if version not in readers:
            raise ValueError(f"version {version} of the format")
        return readers[version](opened)
    except (RecursionError, *DAMAGES) as error:
        said = " ".join(str(error).split())[:200]
        raise NotAnArray(f"is no array ({said})") from error
