"""Lines of text from bytes: UTF-8 only, with a guess where it is something else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, NamedTuple

from toprung.data.rows import Broken, show

LONGEST_LINE = 1 << 25
_MARKS = (
    (b"\xff\xfe\x00\x00", "UTF-32"),
    (b"\x00\x00\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)


class Line(NamedTuple):
    """One line, its number from 1, and what is wrong with it."""

    number: int
    text: str
    problem: str | None


def decode(file: IO[bytes]) -> Iterator[Line]:
    """The file's lines with their ends kept; a byte order mark of UTF-8 is dropped.

    A line that is not UTF-8 or holds NUL carries its problem, and is text nevertheless.

    Raises:
        Broken: the file is UTF-16 or UTF-32, or holds no text at all.
    """
    empty = True
    for number, raw in enumerate(iter(lambda: file.readline(LONGEST_LINE), b""), 1):
        if len(raw) >= LONGEST_LINE:
            raise Broken(
                number,
                f"a line of {LONGEST_LINE >> 20} MiB or more; a row is one line, and a text is cut "
                "to its first 100,000 characters. Part the line, or shorten its text.",
            )
        if number == 1:
            _refuse_wide(raw)
            raw = raw.removeprefix(b"\xef\xbb\xbf")
        problem = None
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            text = raw.decode("utf-8", errors="replace")
            problem = _guess(raw, error.start)
        if b"\0" in raw:
            column = raw.index(b"\0") + 1
            problem = f"a NUL byte (\\x00) at column {column}. Remove it: tr -d '\\000'."
        empty = empty and not raw.strip()
        yield Line(number, text, problem)
    if empty:
        raise Broken(None, "the file is empty. Add rows.")


def _refuse_wide(start: bytes) -> None:
    encoding = next((name for mark, name in _MARKS if start.startswith(mark)), None)
    head = start[:400]
    if encoding is None and len(head) >= 8:
        even, odd = head[0::2].count(0), head[1::2].count(0)
        if max(even, odd) > len(head) // 4 and min(even, odd) * 8 < max(even, odd):
            encoding = "UTF-16BE" if even > odd else "UTF-16LE"
    if encoding:
        raise Broken(
            1,
            f"the file is {encoding}; only UTF-8 is read. "
            f"Convert it: iconv -f {encoding} -t UTF-8 OLD > NEW.",
        )


def _guess(raw: bytes, at: int) -> str:
    windows = any(0x80 <= byte <= 0x9F for byte in raw)
    codec, name = ("cp1252", "WINDOWS-1252") if windows else ("latin-1", "ISO-8859-1")
    said = "Windows-1252" if windows else "latin-1 (ISO-8859-1)"
    sample = raw[max(0, at - 15) : at + 15].decode(codec, errors="replace").strip()
    return (
        f"byte 0x{raw[at]:02x} is not UTF-8; this looks like {said}, where it reads "
        f"{show(sample)}. Convert the file: iconv -f {name} -t UTF-8 OLD > NEW."
    )
