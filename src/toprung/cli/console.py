"""Where words go: results to standard output, all else to standard error."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from rich.console import Console

WIDE = 140
"""Columns of a table that goes into a file or a pipe; ``COLUMNS`` changes it."""

_known = sys.stdout.isatty() or "COLUMNS" in os.environ
OUT = Console(highlight=False, soft_wrap=True, width=None if _known else WIDE)
ERRORS = Console(stderr=True, highlight=False, soft_wrap=True)


def print_json(value: Any) -> None:
    """Prints JSON for scripts, one document, never wrapped."""
    print(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))


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
