"""``toprung data``: what the rows of a spec are like, before anything is trained."""

from __future__ import annotations

from toprung.api.inspecting import inspect_data
from toprung.cli.console import OUT, print_json
from toprung.cli.options import Json, Overrides, SpecPath
from toprung.spec.load import load_spec


def show_data(spec: SpecPath, overrides: Overrides = None, json: Json = False) -> None:
    """Show rows, classes, lengths, truncation, duplicates and leaks of a spec's data.

    Example: toprung data search/quickstart.yaml
    """
    found = inspect_data(load_spec(spec, overrides or []))
    if json:
        print_json(found.to_json())
        return
    for line in found.lines():
        OUT.print(line, markup=False)
