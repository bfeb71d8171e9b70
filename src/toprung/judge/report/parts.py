"""What a section is made of: lines of Markdown, and figures between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """A chart.

    Attributes:
        title: names what is shown, plain text.
        caption: says what to see, plain text.
        svg: one ``<svg>`` element whose text is escaped.
        wide: takes the page's whole width.
    """

    title: str
    caption: str
    svg: str
    wide: bool = False


Part = str | Figure
"""A line of Markdown, or a figure; a line that begins with ``## `` begins a section."""


def markdown_lines(parts: Sequence[Part]) -> list[str]:
    """The lines alone: figures show what stands in sentences and tables as well."""
    return [part for part in parts if isinstance(part, str)]
