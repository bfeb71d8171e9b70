"""Texts that stand in the data more than once: within a split, and across splits."""

from __future__ import annotations

import hashlib
import re
import sys
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from toprung.data.labels import classes_of
from toprung.data.rows import Table, show

_NO_LETTER = re.compile(r"[\W_]+", re.ASCII)


def text_key(text: str) -> bytes:
    """Equal for texts whose letters and digits agree, case aside; 16 bytes.

    Marks that make another letter, as vowel signs do, count; a text without letters and digits is
    compared as it is.

    >>> text_key("Where's my refund?!") == text_key("wheres MY refund")
    True
    >>> text_key(":-)") == text_key(":-("), text_key("की") == text_key("का")
    (False, False)
    """
    folded = text.casefold()
    if text.isascii():
        letters = _NO_LETTER.sub("", folded)
    else:
        letters = _no_letter().sub("", unicodedata.normalize("NFC", folded).replace("_", ""))
    return hashlib.blake2b((letters or text.strip()).encode("utf-8"), digest_size=16).digest()


@cache
def _no_letter() -> re.Pattern[str]:
    """Neither letters, digits, ``_`` nor marks; but those that choose how an emoji looks."""
    marks = [
        letter
        for letter in map(chr, range(sys.maxunicode + 1))
        if unicodedata.category(letter) in ("Mn", "Mc")
        and "VARIATION SELECTOR" not in unicodedata.name(letter, "")
    ]
    return re.compile(f"[^\\w{''.join(marks)}]+")


@dataclass(frozen=True)
class Leak:
    """Rows of a split whose text stands in another split too.

    Attributes:
        split: that should be unseen.
        inside: where its texts stand as well.
        rows: how many rows of ``split``.
        share: of all its rows.
        example: the first such row's place, its twin's place, and the text.
    """

    split: str
    inside: str
    rows: int
    share: float
    example: tuple[str, str, str]

    def __str__(self) -> str:
        here, there, text = self.example
        return (
            f"{self.rows:,} of the rows of {self.split} ({self.share:.1%}) stand in "
            f"{self.inside} too, as {show(text)} ({here} and {there})"
        )


class Repeats:
    """The tables' texts by key, each table keyed once."""

    def __init__(self) -> None:
        self._keys: dict[int, list[bytes]] = {}
        self._tables: list[Table] = []

    def keys(self, table: Table) -> list[bytes]:
        """The key of each row."""
        if id(table) not in self._keys:
            self._tables.append(table)
            self._keys[id(table)] = [text_key(text) for text in table.texts]
        return self._keys[id(table)]

    def leak(self, table: Table, inside: Table) -> Leak | None:
        """The rows of one table that stand in another; None where there is none."""
        first: dict[bytes, int] = {}
        for index, key in enumerate(self.keys(inside)):
            first.setdefault(key, index)
        found = [index for index, key in enumerate(self.keys(table)) if key in first]
        if not found:
            return None
        twin = first[self.keys(table)[found[0]]]
        example = (table.place(found[0]), inside.place(twin), table.texts[found[0]])
        return Leak(table.split, inside.split, len(found), len(found) / len(table), example)

    def duplicates(self, table: Table) -> int:
        """How many rows repeat an earlier row's text."""
        return len(table) - len(set(self.keys(table)))

    def conflicts(self, table: Table) -> Conflict | None:
        """The texts that stand under several labels; None where there is none."""
        first: dict[bytes, int] = {}
        found: dict[bytes, tuple[int, int]] = {}
        for index, key in enumerate(self.keys(table)):
            earlier = first.setdefault(key, index)
            if table.labels[earlier] != table.labels[index]:
                found.setdefault(key, (earlier, index))
        if not found:
            return None
        return Conflict(table.split, len(found), _pair(table, next(iter(found.values()))))


@dataclass(frozen=True)
class Conflict:
    """Texts of a split that stand under several labels.

    Attributes:
        split: where.
        texts: how many.
        example: the first of them in words.
    """

    split: str
    texts: int
    example: str

    def __str__(self) -> str:
        many = "1 text" if self.texts == 1 else f"{self.texts:,} texts"
        stands = "stands" if self.texts == 1 else "stand"
        return f"{many} of {self.split} {stands} under several labels, as {self.example}"


def _pair(table: Table, rows: Sequence[int]) -> str:
    named = [", ".join(classes_of(table.labels[i])) for i in rows]
    said = " and ".join(f"'{n}' ({table.place(i)})" for n, i in zip(named, rows, strict=True))
    return f"{show(table.texts[rows[0]])}: {said}"
