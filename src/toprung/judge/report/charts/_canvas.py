"""Matplotlib figures as SVG elements in the page's own colours and typeface."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing

from toprung.judge.report.parts import Figure

# Colours that nothing else has, so that the page's variables can take their place.
INK, MUTED, LINE, ACCENT, PAGE, WARN = (f"#0a0b{i:02x}" for i in range(1, 7))
_VARIABLES = {
    INK: "ink", MUTED: "muted", LINE: "line", ACCENT: "accent", PAGE: "page", WARN: "warn"
}  # fmt: skip
_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "toprung",
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 8.5,
    "text.color": INK,
    "axes.edgecolor": LINE,
    "axes.labelcolor": MUTED,
    "axes.labelsize": 8.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.facecolor": "none",
    "axes.unicode_minus": True,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.linewidth": 1.6,
    "lines.solid_capstyle": "round",
    "figure.facecolor": "none",
}
_WIDTHS = {False: 4.2, True: 9.0}
_ID = re.compile(r'\bid="([^"]+)"')
_FONT = re.compile(r"'DejaVu Sans'(?:, [^;\"]*)?|DejaVu Sans(?:, [^;\"]*)?")


@dataclass
class Sheet:
    """A chart in the making; ``figure`` is there when the block has ended.

    Attributes:
        drawing: the matplotlib figure.
    """

    drawing: Drawing
    figure: Figure | None = None

    def axes(self) -> Axes:
        """One plot on the whole sheet."""
        return self.drawing.add_subplot()

    @property
    def done(self) -> Figure:
        """The figure, after the block."""
        assert self.figure is not None
        return self.figure


@contextmanager
def sheet(title: str, caption: str, *, height: float = 2.9, wide: bool = False) -> Iterator[Sheet]:
    """A sheet to draw on, turned into a figure at the end of the block.

    Args:
        title, caption: plain text.
        height: in inches; the width is 4.2, or 9 where it is ``wide``.
        wide: takes the page's whole width.
    """
    with rc_context(_SETTINGS), warnings.catch_warnings():
        # A label in a script that the measuring font lacks; the browser has others.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        drawing = Drawing(figsize=(_WIDTHS[wide], height), layout="constrained")
        made = Sheet(drawing)
        yield made
        text = StringIO()
        drawing.savefig(text, format="svg", metadata=_NO_METADATA)
    made.figure = Figure(title, caption, finish(text.getvalue(), title), wide)


_NO_METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}


def finish(document: str, title: str) -> str:
    """The ``<svg>`` element of a document, with the page's colours, font and own identifiers."""
    svg = document[document.index("<svg") :].strip()
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    head, rest = svg.split(">", 1)
    box = re.search(r'viewBox="[^"]+"', head)
    assert box is not None
    prefix = re.sub(r"[^a-z0-9]+", "-", title.casefold()).strip("-")
    used = set(
        re.findall(r"#([\w.-]+)", " ".join(re.findall(r'(?:url\([^)]*\)|href="[^"]*")', rest)))
    )
    rest = _ID.sub(lambda found: f'id="{prefix}-{found[1]}"' if found[1] in used else "", rest)
    rest = re.sub(r"url\(#", f"url(#{prefix}-", rest)
    rest = re.sub(r'(?:xlink:)?href="#', f'href="#{prefix}-', rest)
    for colour, name in _VARIABLES.items():
        rest = rest.replace(colour, f"var(--{name})")
    rest = _FONT.sub("var(--font)", rest)
    rest = re.sub(r"<!--.*?-->", "", rest, flags=re.DOTALL)
    rest = re.sub(r"\n\s*", "\n", rest)
    return f'<svg role="img" {box[0]}>{rest}'


def spread(values: Sequence[float], gap: float) -> list[float]:
    """Values moved apart to a gap at least, in their order, with the same mean.

    >>> spread([3.0, 1.0, 1.5], 1.0)
    [2.8333333333333335, 0.8333333333333334, 1.8333333333333333]
    """
    moved, last = list(values), float("-inf")
    for i in sorted(range(len(values)), key=values.__getitem__):
        last = moved[i] = max(values[i], last + gap)
    surplus = (sum(moved) - sum(values)) / max(1, len(values))
    return [value - surplus for value in moved]


def short(text: str, limit: int = 22) -> str:
    """A label that fits, on one line.

    >>> short("a very long name of a class", 10)
    'a very lo…'
    """
    plain = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return plain if len(plain) <= limit else plain[: limit - 1] + "…"
