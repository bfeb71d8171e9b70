"""A value of a YAML file with its place and line, and the problems found so far."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

from toprung.core.errors import Problem
from toprung.trial.space import Scalar

MOST_PROBLEMS = 100


class TooManyProblems(Exception):
    """A file has more problems than anyone reads; it is probably not a search at all."""


class Problems(list[Problem]):
    """Everything found wrong so far."""

    def append(self, problem: Problem) -> None:
        """Notes a problem, once.

        Raises:
            TooManyProblems: there are 100 already.
        """
        if len(self) >= MOST_PROBLEMS:
            raise TooManyProblems
        if problem not in self:
            super().append(problem)

    def add(self, node: Node, text: str) -> None:
        """Notes a problem at a node's place and line."""
        self.append(Problem(node.place, text, node.line))


@dataclass(frozen=True)
class Node:
    """A value of the YAML, where it stands and in which line.

    Attributes:
        place: as people write it: ``space.pooling[1]``.
        line: from 1; None where it comes from the command line.
        value: a scalar, a tuple of nodes or a mapping from key to node.
    """

    place: str
    line: int | None
    value: Scalar | tuple[Node, ...] | Mapping[str, Node]

    @property
    def items(self) -> Mapping[str, Node]:
        """The entries of a mapping; empty for anything else."""
        return self.value if isinstance(self.value, Mapping) else {}

    @property
    def scalar(self) -> bool:
        """Whether the value is one scalar."""
        return not isinstance(self.value, tuple | Mapping)

    def shown(self) -> str:
        """The value in a message, cut where it is long."""
        if isinstance(self.value, Mapping):
            return "a mapping of " + shown(", ".join(self.value)) if self.value else "{}"
        if isinstance(self.value, tuple):
            return f"a list of {len(self.value)}"
        return shown(self.value)

    def plain(self) -> object:
        """The value as plain lists and dictionaries."""
        if isinstance(self.value, Mapping):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, tuple):
            return [node.plain() for node in self.value]
        return self.value


def shown(value: object) -> str:
    """A value as a message shows it: one short line, nothing that moves a terminal.

    >>> shown("mena"), shown(None), shown(True)
    ("'mena'", 'null', 'true')
    """
    named = {None: "null", True: "true", False: "false"}
    text = named[value] if value is None or isinstance(value, bool) else repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def has_controls(text: str) -> bool:
    """Whether a text holds control characters or halves of surrogate pairs.

    >>> has_controls("naïve ✓"), has_controls("a\\0b")
    (False, True)
    """
    return any(unicodedata.category(character) in ("Cc", "Cs") for character in text)
