"""One canonical map from a file's label values to class names."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from toprung.core.files import parse_json
from toprung.data.tasks._base import Label

LONGEST_NAME = 1000
"""Of a class, in characters: every report, table and chart repeats it."""

_WHOLE = re.compile(r"([+-]?\d+)\.0+\Z")


def label_name(value: object) -> str:
    """The class name of a label value: equal for values that mean the same class.

    Strings lose the white space around them; whole numbers lose ``.0``, so that a column that
    some tool turned into floats keeps its classes; true and false are written as in JSON.

    Raises:
        ValueError: no label, or a value that cannot be the name of a class.

    >>> [label_name(value) for value in (1, 1.0, "1", "1.0", True, "True", " refund ")]
    ['1', '1', '1', '1', 'true', 'true', 'refund']
    """
    if isinstance(value, str):
        name = value.strip()
        if not name:
            raise ValueError("the label is empty. Fill it in, or delete the row.")
        if "\0" in name or any("\ud800" <= letter <= "\udfff" for letter in name):
            raise ValueError(f"the label {name!r} holds a character that is no text. Correct it.")
        if name.lower() in ("true", "false"):
            return name.lower()
        if len(name) > LONGEST_NAME:
            said = f"the label is a text of {len(name):,} characters; a class is named by at most"
            raise ValueError(f"{said} {LONGEST_NAME:,}. Is data.label the column of the text?")
        whole = _WHOLE.match(name)
        return str(int(whole[1])) if whole else name
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if value is None or (isinstance(value, float) and math.isnan(value)):
        raise ValueError("the label is missing (null). Fill it in, or delete the row.")
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    kind = {"list": "a list", "dict": "an object", "float": "a fraction"}.get(
        type(value).__name__, f"a {type(value).__name__}"
    )
    raise ValueError(
        f"the label is {str(value)[:60]}, {kind}. "
        "A label is one string, one whole number, or true or false."
    )


def label_names(value: object) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The classes of a row that may have several, and all that the value names; both sorted.

    The value is an object of names with 0 and 1, a list of names, or either as JSON in a text,
    as a cell of a CSV file holds it.

    Raises:
        ValueError: anything else, with the value.

    >>> label_names({"joy": 1, "anger": 0}), label_names('["joy"]')
    ((('joy',), ('anger', 'joy')), (('joy',), ('joy',)))
    """
    if isinstance(value, str):
        try:
            read = parse_json(value)
        except ValueError:
            read = None
        if not isinstance(read, dict | list):
            raise ValueError(f"the labels are {value[:60]!r}, a text. {_MANY}")
        value = read
    if isinstance(value, dict):
        named = {label_name(name): _is_one(name, given) for name, given in value.items()}
        return tuple(sorted(n for n, one in named.items() if one)), tuple(sorted(named))
    if isinstance(value, list | tuple):
        names = tuple(sorted({label_name(name) for name in value}))
        return names, names
    if value is None:
        raise ValueError("the labels are missing (null). Write [] for none, or delete the row.")
    raise ValueError(f"the labels are {str(value)[:60]}. {_MANY}")


_MANY = 'Labels are an object of 0 and 1, {"name": 1}, or a list of names, ["name"].'


def read_references(value: object) -> tuple[str, ...]:
    """The references of a row: one text, or a list of them; empty ones are refused.

    Raises:
        ValueError: missing, empty or no text, with the value.

    >>> read_references(" He leaves. "), read_references(["one", "two"])
    (('He leaves.',), ('one', 'two'))
    """
    step = "Fill it in, or delete the row."
    if value is None:
        raise ValueError(f"the summary is missing (null). {step}")
    listed = list(value) if isinstance(value, list | tuple) else [value]
    if not listed:
        raise ValueError(f"the list of summaries is empty. {step}")
    for text in listed:
        if not isinstance(text, str):
            raise ValueError(f"the summary is {str(text)[:60]!r}, not a string. {step}")
        if not text.strip():
            raise ValueError(f"the summary is empty. {step}")
        if "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
            raise ValueError(f"the summary {text[:60]!r} holds what is no text. Correct it.")
    return tuple(str(text).strip() for text in listed)


def _is_one(name: object, given: Any) -> bool:
    if isinstance(given, bool) or (isinstance(given, int | float) and given in (0, 1)):
        return bool(given)
    said = repr(given)[:40]
    raise ValueError(f"label {str(name)[:40]!r} is {said}; only 0 and 1 are allowed. Correct it.")


def classes_of(label: Label) -> tuple[str, ...]:
    """The classes of a row: one, or any number.

    >>> classes_of("joy"), classes_of(("anger", "joy"))
    (('joy',), ('anger', 'joy'))
    """
    return (label,) if isinstance(label, str) else label


def sorted_names(names: Iterable[str]) -> tuple[str, ...]:
    """The distinct names: by number where all are whole numbers, else by alphabet.

    >>> sorted_names(["10", "9", "10"]), sorted_names(["b", "10", "a"])
    (('9', '10'), ('10', 'a', 'b'))
    """
    distinct = set(names)
    if all(re.fullmatch(r"-?[0-9]{1,18}", name) for name in distinct):
        return tuple(sorted(distinct, key=lambda name: (int(name), name)))
    return tuple(sorted(distinct))


@dataclass
class Kinds:
    """Which kinds of label a file mixes, with the first line of each."""

    first: dict[str, tuple[int, object]] = field(default_factory=dict)

    def see(self, value: object, line: int) -> None:
        """Takes note of one accepted label."""
        if isinstance(value, str):
            name = label_name(value)
            plain = name.lstrip("+-").isdigit() or name in ("true", "false")
            kind = "text that is a number or truth value" if plain else "text"
        else:
            kind = "true or false" if isinstance(value, bool) else "a number"
        self.first.setdefault(kind, (line, value))

    def problems(self) -> list[str]:
        """What to say where kinds stand side by side that cannot be one column of classes."""
        pairs = (("text", "a number"), ("text", "true or false"), ("true or false", "a number"))
        for one, other in pairs:
            if one in self.first and other in self.first:
                (line, value), (second, another) = self.first[one], self.first[other]
                return [
                    f"labels mix {one} (line {line}: {value!r}) and {other} "
                    f"(line {second}: {another!r}). Write all of them in one way, as strings."
                ]
        return []
