"""Parts of a text that can stand alone: turns of a dialogue, or sentences."""

from __future__ import annotations

import re

_TURN = re.compile(r"\n+")
_SENTENCE = re.compile(r"(?<=[.!?])\s+")


def turns(text: str) -> list[str]:
    """The lines of a text; of a text of one line its sentences.

    >>> turns("Ann: Hi!\\nBob: Hello. Bye."), turns("He came. He left.")
    (['Ann: Hi!', 'Bob: Hello. Bye.'], ['He came.', 'He left.'])
    """
    lines = [line.strip() for line in _TURN.split(text) if line.strip()]
    if len(lines) > 1:
        return lines
    return [part for part in _SENTENCE.split(text.strip()) if part]
