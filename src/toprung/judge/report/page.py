"""The report as one HTML page that needs nothing else: Markdown, figures, style."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup

from toprung.judge.budget import savings, search_phase
from toprung.judge.report.material import Material
from toprung.judge.report.parts import Figure, Part
from toprung.judge.sentences import bounds, duration

_MOST_ROWS, _MOST_COLUMNS = 24, 12
_CELL, _LONG = re.compile(r"<td>(.*?)</td>", re.DOTALL), 40


@dataclass(frozen=True)
class Card:
    """A figure that stands at the top of the page, in plain text."""

    label: str
    value: str
    detail: str


@dataclass(frozen=True)
class Shown:
    """A section as the template takes it.

    Attributes:
        anchor: of its heading.
        title: as HTML.
        blocks: HTML, or figures side by side.
    """

    anchor: str
    title: Markup
    blocks: list[Markup | list[Figure]]


def render_page(parts: Sequence[Part], material: Material) -> str:
    """The page of a composed report; all text of users is shown as text."""
    environment = Environment(
        loader=PackageLoader("toprung.judge.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["markup"] = Markup
    head, sections = _sections(parts)
    return environment.get_template("report.html.j2").render(
        name=material.name, lead=head, cards=_cards(material), sections=sections
    )


def markdown_to_html(lines: Sequence[str]) -> Markup:
    """Markdown as HTML: no markup of users, no links, no pictures; large tables fold.

    >>> print(markdown_to_html(["a *b* <img src=x> [c](javascript:d)"]))
    <p>a <em>b</em> &lt;img src=x&gt; [c](javascript:d)</p>
    <BLANKLINE>
    """
    reader = MarkdownIt("commonmark", {"html": False}).enable("table")
    reader.disable(["link", "image", "autolink", "html_inline", "html_block", "reference"])
    # What was written by the reader above is safe: everything that it was given is escaped.
    return Markup(_wrap_tables(reader.render("\n".join(lines))))


def _sections(parts: Sequence[Part]) -> tuple[Markup, list[Shown]]:
    """The lead, and every section with its blocks."""
    lead: list[str] = []
    sections: list[Shown] = []
    lines: list[str] = []

    def end_block() -> None:
        if sections and any(line.strip() for line in lines):
            sections[-1].blocks.append(markdown_to_html(lines))
        lines.clear()

    for part in parts:
        if isinstance(part, Figure):
            end_block()
            _add_figure(sections[-1].blocks, part)
        elif part.startswith("## "):
            end_block()
            title = part.removeprefix("## ")
            anchor = re.sub(r"\W+", "-", title.casefold()).strip("-")
            sections.append(Shown(anchor, _inline(title), []))
        elif sections:
            lines.append(part)
        elif not part.startswith("# "):
            lead.append(part)
    end_block()
    return markdown_to_html(lead), [section for section in sections if section.blocks]


def _add_figure(blocks: list[Markup | list[Figure]], figure: Figure) -> None:
    """Beside the figure before it, where both are narrow."""
    last = blocks[-1] if blocks else None
    if isinstance(last, list) and not figure.wide and not last[-1].wide:
        last.append(figure)
    else:
        blocks.append([figure])


def _inline(text: str) -> Markup:
    paragraph = markdown_to_html([text]).strip()
    return Markup(paragraph.removeprefix("<p>").removesuffix("</p>"))


def _wrap_tables(html: str) -> str:
    """Tables that scroll sideways on a phone; very long ones are folded."""

    def wrap(found: re.Match[str]) -> str:
        rows, columns = found[0].count("<tr>") - 1, len(re.findall(r"<th\b", found[0]))
        cells = _CELL.sub(lambda cell: cell[0] if len(cell[1]) < _LONG else _long(cell), found[0])
        box = f'<div class="scroll">{cells}</div>'
        if rows <= _MOST_ROWS and columns <= _MOST_COLUMNS:
            return box
        what = f"Table of {rows} rows and {columns} columns"
        return f"<details><summary>{what}</summary>{box}</details>"

    return re.sub(r"<table>.*?</table>", wrap, html, flags=re.DOTALL)


def _long(cell: re.Match[str]) -> str:
    """A cell that must not be squeezed on a phone."""
    return f'<td class="long">{cell[1]}</td>'


def _cards(material: Material) -> list[Card]:
    """Numbers that stand in the sections as well."""
    cards = []
    verdicts = material.verdicts
    if verdicts is not None:
        name, first = verdicts.metric.name, verdicts.first
        own = verdicts.intervals[first.who]
        detail = f"95 % {bounds(own)}, {len(verdicts.labels):,} test rows"
        cards.append(Card(f"{name}, {_words(first.who)}", f"{own.value:.4f}", detail))
        for other in verdicts.contenders[1:2]:
            gain = verdicts.gains[other.who][name]
            told = f"95 % {bounds(gain, signed=True)}"
            cards.append(Card(f"gain over {_words(other.who)}", f"{gain.value:+.4f}", told))
        baseline = verdicts.best_baseline()
        if baseline is not None and baseline is not first:
            gain = verdicts.gains[baseline.who][name]
            told = f"95 % {bounds(gain, signed=True)}"
            cards.append(Card(f"gain over {_words(baseline.who)}", f"{gain.value:+.4f}", told))
    saved = savings(search_phase(material.events), material.resource)
    if saved.trials:
        detail = f"{saved.trials} trials in {duration(saved.seconds)} of training"
        cards.append(Card("saved by early stopping", f"{saved.saved_share:.0%}", detail))
    return cards


def _words(name: str) -> str:
    return name.replace("_", " ")
