"""Rows as a file holds them, and their collection with every problem told at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from toprung.core.errors import Problem
from toprung.core.registry import nearest
from toprung.data.labels import Kinds, classes_of, label_name, label_names, read_references
from toprung.data.tasks._base import Label

LISTED = 20
LONGEST = 100_000


class Columns(NamedTuple):
    """The names of the columns that are read; a row's ``references`` go before its label."""

    text: str
    label: str
    references: str | None = None


class Row(NamedTuple):
    """One row as the file holds it, or what is wrong with it."""

    line: int
    text: object = None
    label: object = None
    problem: str | None = None


class Broken(Exception):
    """Nothing of the file can be read, or nothing behind this line.

    Attributes:
        line: where, from 1; None where the whole file is meant.
        texts: what is wrong, one or several.
    """

    def __init__(self, line: int | None, *texts: str) -> None:
        super().__init__(*texts)
        self.line = line
        self.texts = texts


def show(value: object, length: int = 60) -> str:
    """A value in quotes for a message, shortened in the middle of a long one.

    >>> show("short"), show("x" * 100, 10)
    ("'short'", "'xxxxxxxxx…")
    """
    text = repr(value[: 2 * length] if isinstance(value, str) else value)
    return text if len(text) <= length else text[:length] + "…"


def missing_columns(found: Sequence[str], columns: Columns) -> list[str]:
    """What to say of each column that is not among those found; empty where both are.

    >>> missing_columns(["txt", "label"], Columns("text", "label"))
    ["no column 'text'. Did you mean 'txt'? Known: txt, label. Name it with data.text."]
    """
    names = [name if len(name) <= 40 else name[:39] + "…" for name in map(str, found)]
    names = names[:LISTED] + ["…"] * (len(names) > LISTED)
    return [
        f"no column '{name}'. {nearest(name, names)} Name it with data.{key}."
        for key, name in (("text", columns.text), ("label", columns.label))
        if name not in found
    ]


def class_name(label: object, names: Sequence[str] | None) -> object:
    """The name of a class number; a number without a name, as -1, is no label.

    >>> class_name(1, ["no", "yes"]), class_name(-1, ["no", "yes"]), class_name(-1, None)
    ('yes', None, -1)
    """
    if names is None or not isinstance(label, int):
        return label
    return names[label] if 0 <= label < len(names) else None


@dataclass
class Problems:
    """What is wrong in the files so far; of each file the first twenty in words."""

    skip_rows: bool = False
    found: list[Problem] = field(default_factory=list)
    skipped: int = 0

    def __bool__(self) -> bool:
        return bool(self.found)

    def add(self, where: str, text: str) -> None:
        """One more problem, always told."""
        self.found.append(Problem(where, text))

    def add_rows(self, file: str, rows: Sequence[tuple[int, str]]) -> None:
        """Bad rows of one file as (line, text): told, or counted where they are skipped."""
        if self.skip_rows:
            self.skipped += len(rows)
            return
        for line, text in rows[:LISTED]:
            self.add(f"{file}:{line}", text)
        if rows:
            more = f"… and {len(rows) - LISTED:,} more. " if len(rows) > LISTED else ""
            step = "data.on_bad_row: skip leaves bad rows out and counts them."
            if more:
                self.add(file, more + step)
            else:
                last = self.found.pop()
                self.add(last.where, f"{last.text} ({step})")


@dataclass
class Table:
    """The accepted rows of one split, each with the place that it came from.

    Attributes:
        split: ``train``, ``validation`` or ``test``.
        texts: as in the file; cut to their first 100,000 characters.
        labels: canonical names, one or several a row.
        cut: places of the texts that were cut.
        many: whether a row may have any number of labels.
        named: where each label name stands first, also one that no row has.
        written: whether a label is a text, or a list of such, instead of classes.
    """

    split: str
    texts: list[str] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)
    many: bool = False
    named: dict[str, str] = field(default_factory=dict)
    _files: list[str] = field(default_factory=list)
    _lines: list[tuple[int, int]] = field(default_factory=list)
    written: bool = False

    def __len__(self) -> int:
        return len(self.texts)

    def classes(self) -> set[str]:
        """The names of all classes that some row has."""
        return {name for label in self.labels for name in classes_of(label)}

    def place(self, index: int) -> str:
        """File and line of a row, as ``file:line``."""
        file, line = self._lines[index]
        return f"{self._files[file]}:{line}"

    def keep(self, indices: Iterable[int], split: str | None = None) -> Table:
        """The rows of those indices, in that order, possibly under another name."""
        chosen = list(indices)
        return Table(
            split or self.split,
            [self.texts[i] for i in chosen],
            [self.labels[i] for i in chosen],
            self.cut,
            self.many,
            self.named,
            self._files,
            [self._lines[i] for i in chosen],
            self.written,
        )

    def add_file(self, file: str, rows: Iterable[Row], problems: Problems) -> None:
        """Takes in the rows of one file; what is wrong goes to ``problems``."""
        bad: list[tuple[int, str]] = []
        kinds = Kinds()
        self._files.append(file)
        before = len(self)
        try:
            for row in rows:
                text = row.problem or self._take(row, kinds)
                if text:
                    bad.append((row.line, text))
        except Broken as broken:
            where = f"{file}:{broken.line}" if broken.line else file
            for text in broken.texts:
                problems.add(where, text)
        else:
            if len(self) == before and (problems.skip_rows or not bad):
                problems.add(file, f"no usable row; {len(bad):,} bad ones. Add rows.")
        for text in kinds.problems():
            problems.add(file, text)
        problems.add_rows(file, bad)

    def _take(self, row: Row, kinds: Kinds) -> str | None:
        text = row.text
        if not isinstance(text, str):
            said = "is missing (null)" if text is None else f"is {show(text)}, not a string"
            return f"the text {said}. Write a string, or delete the row."
        if not text or text.isspace():
            return "the text is empty. Fill it in, or delete the row."
        if "\0" in text:
            return f"the text holds a NUL character: {show(text)}. Remove it."
        if not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text):
            return f"the text holds half of a surrogate pair: {show(text)}. Remove it."
        try:
            label = self._read_label(row, kinds)
        except ValueError as error:
            return str(error)
        here = (len(self._files) - 1, row.line)
        if len(text) > LONGEST:
            text = text[:LONGEST]
            self.cut.append(f"{self._files[-1]}:{row.line}")
        self.texts.append(text)
        self.labels.append(label)
        self._lines.append(here)
        return None

    def _read_label(self, row: Row, kinds: Kinds) -> Label:
        if self.written:
            return read_references(row.label)
        if not self.many:
            label = label_name(row.label)
            kinds.see(row.label, row.line)
            return label
        labels, named = label_names(row.label)
        for name in named:
            self.named.setdefault(name, f"{self._files[-1]}:{row.line}")
        return labels
