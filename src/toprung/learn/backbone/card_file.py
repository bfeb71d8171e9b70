"""The YAML of a card, read with limits: a card may come from anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from toprung.core.errors import FixSpec

MOST_BYTES = 1 << 16
_MOST_EVENTS = 1000
_DEEPEST = 3


def read_card_file(path: Path) -> dict[str, Any]:
    """The names and values of a card; plain scalars and lists of them.

    Raises:
        FixSpec: too large, no YAML, nested, with aliases, with a key twice, or no mapping.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise ValueError(f"more than {MOST_BYTES:,} bytes")
        text = data.decode("utf-8-sig")
        _check(text)
        values = yaml.safe_load(text)
    # ValueError: also of a date or a number that YAML takes for one, and that is none.
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        said = " ".join(str(error).split())[:300]
        raise FixSpec(str(path), [f"not readable as the YAML of a card: {said}"]) from error
    except OSError as error:
        raise FixSpec(str(path), [f"cannot be read: {error.strerror or error}."]) from error
    if not isinstance(values, dict):
        raise FixSpec(str(path), ["a card is a mapping of names to values."])
    return values


def _check(text: str) -> None:
    """Refuses what a card never has, before anything is made of it."""
    depth = 0
    keys: list[str] = []
    is_key = True
    for number, event in enumerate(yaml.parse(text, Loader=yaml.SafeLoader)):
        if number > _MOST_EVENTS:
            raise ValueError("too many values; a card has a dozen")
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise ValueError("anchors and aliases are refused; write the values out")
        tag = getattr(event, "tag", None)
        if tag:
            raise ValueError(f"the tag {tag!r} is refused; write a plain value")
        if depth == 1 and isinstance(event, yaml.ScalarEvent) and is_key:
            keys.append(event.value)
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        if isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > _DEEPEST:
            raise ValueError("nested too deeply")
        if depth == 1 and isinstance(event, yaml.ScalarEvent | yaml.CollectionEndEvent):
            is_key = not is_key
    twice = sorted({key for key in keys if keys.count(key) > 1})
    if twice:
        raise ValueError(f"the key {twice[0]!r} is repeated; keep one")
