"""Markdown from values: text of users is escaped, tables keep their shape."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence

from toprung.judge.leaderboard import plain_text

_SPECIAL = re.compile(r"[\\`*{}\[\]<>|#!~$&]|(?<![^\W_])_|_(?![^\W_])")
_LEADING = re.compile(r"^(\d*)([-+=.)])")


def escape(text: object) -> str:
    r"""Text as it reads, on one line, whatever it contains.

    >>> print(escape("a|b <img src=x> *c* snake_case _d_"))
    a\|b \<img src=x\> \*c\* snake_case \_d\_
    """
    return _LEADING.sub(r"\1\\\2", _SPECIAL.sub(r"\\\g<0>", plain_text(str(text))))


def code(text: object) -> str:
    r"""Text as a span of code, on one line, also inside of a table.

    >>> print(code("a|b"), code("x`y"))
    `a\|b` `` x`y ``
    """
    plain = plain_text(str(text)).replace("|", "\\|") or " "
    if "`" not in plain:
        return f"`{plain}`"
    fence = "`" * (_longest_ticks(plain) + 1)
    return f"{fence} {plain} {fence}"


def code_block(text: str, language: str = "") -> list[str]:
    """Lines of a block of code; its fence is longer than any inside."""
    fence = "`" * max(3, _longest_ticks(text) + 1)
    kept = [
        "".join(c for c in line if c == "\t" or c.isprintable())
        for line in text.strip("\n").splitlines()
    ]
    return [f"{fence}{language}", *kept, fence, ""]


def table(
    header: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    numbers: int = 0,
    right: Collection[int] = (),
) -> list[str]:
    """Lines of a table, whose cells are Markdown already.

    The last ``numbers`` columns align right, and those whose places are in ``right``.
    """
    first = len(header) - numbers
    marks = ["---:" if i >= first or i in right else "---" for i in range(len(header))]
    lines = [_line(header), _line(marks), *(_line(row) for row in rows)]
    return [*lines, ""]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _longest_ticks(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)
