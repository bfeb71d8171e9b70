"""Renders the README's tables of components: python tests/docs/render_components.py --write."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path

from toprung.search import runners
from toprung.spec.families import PACKAGES, registry
from toprung.spec.fields import Field, fields_of

README = Path(__file__).parents[2] / "README.md"
BEGIN, END = "<!-- components: begin -->\n", "<!-- components: end -->"
TITLES = {
    "adapter": "`adapter`: which weights of the encoder are trained",
    "pooling": "`pooling`: from a vector a token to one a text",
    "head": "`head`: from a text's vector to scores",
    "loss": "`loss`: what training makes small",
    "augmenter": "`augmenter`: how training texts are changed",
    "schedule": "`schedule`: the learning rate over the largest resource",
    "scheduler": "`scheduler`: who trains on",
    "searcher": "`searcher`: what is tried next",
    "runner": "`--runner`: where trials are trained",
    "ensemble": "`ensemble`: what the best configurations weigh",
    "baseline": "`baselines`: what any of this has to beat",
    "task": "`task`: what a text is given",
    "corpus": "`data.corpus`: rows that ship in the package",
}


def render() -> str:
    """The tables of all kinds, in the order of a spec."""
    return "".join(f"{_table(kind)}\n" for kind in TITLES)


def readme_with(tables: str, text: str) -> str:
    """The README's text with its tables replaced."""
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}{tables}{END}{tail}"


def _table(kind: str) -> str:
    known = registry(kind) if kind in PACKAGES else runners.registry
    lines = [f"**{TITLES[kind]}**", "", "| name | what it does | options and defaults |"]
    lines.append("| --- | --- | --- |")
    for name in known.names():
        component = known.get(name)
        module = inspect.getmodule(component)
        first = (inspect.getdoc(module) or "").partition("\n")[0].replace("``", "`")
        options = {} if kind == "runner" else fields_of(component)
        shown = ", ".join(_option(field) for field in options.values())
        lines.append(f"| `{name}` | {first} | {shown} |".replace("  ", " "))
    return "\n".join(lines) + "\n"


def _option(field: Field) -> str:
    default = "null" if field.default is None else str(field.default).lower()
    if field.required:
        return f"`{field.name}` (required)"
    others = [str(choice) for choice in field.choices if str(choice) != default]
    return f"`{field.name}: {default}`" + (f" ({', '.join(others)})" if others else "")


if __name__ == "__main__":
    found = README.read_text(encoding="utf-8")
    wanted = readme_with(render(), found)
    if "--write" in sys.argv:
        README.write_text(wanted, encoding="utf-8")
    print(render())
