"""Where words go: results to standard output, all else to standard error."""

from __future__ import annotations

import json
import os
import re
import sys
from typing import Any, NoReturn

from rich.console import Console
from rich.text import Text

WIDE = 140
"""Columns of a table that goes into a file or a pipe; ``COLUMNS`` changes it."""

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


class _Harmless(Console):
    """A console on which texts of users and files move nothing: no escape sequence gets through.

    Rich takes some control characters out of a text, but not the one that begins sequences.
    """

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(harmless(text), **options)

    def on_broken_pipe(self) -> None:
        """Ends in peace where nobody reads a result to its end; what is told besides falls silent.

        So ``toprung board x | head`` ends, and a search whose listener has gone goes on.
        """
        if self.stderr:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
            self.quiet = True
            return
        leave_pipe()


def leave_pipe() -> NoReturn:
    """Ends the process where nobody reads its output any more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise SystemExit(0)


def harmless(text: str) -> str:
    r"""The text with its control characters written out; line breaks and tabs stay.

    >>> print(harmless("a\x1b]0;title\x07b\x9b31m"))
    a\x1b]0;title\x07b\x9b31m
    """
    return _CONTROLS.sub(lambda found: repr(found[0])[1:-1], text)


_known = sys.stdout.isatty() or "COLUMNS" in os.environ
OUT = _Harmless(highlight=False, soft_wrap=True, width=None if _known else WIDE)
ERRORS = _Harmless(stderr=True, highlight=False, soft_wrap=True)


def print_json(value: Any) -> None:
    """Prints JSON for scripts, one document, never wrapped."""
    text = escape_controls(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))
    try:
        print(text, flush=True)
    except BrokenPipeError:
        leave_pipe()


def escape_controls(text: str) -> str:
    r"""JSON of the same value in which no character moves a terminal.

    >>> print(escape_controls('"a\x9b31m"'))
    "a\u009b31m"
    """
    return _CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def duration(seconds: float | None) -> str:
    """A length of time in the two units that matter.

    >>> duration(42.4), duration(3750), duration(None)
    ('42 s', '1 h 2 min', '?')
    """
    if seconds is None:
        return "?"
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
