"""``toprung validate``: a spec read and checked, nothing run."""

from __future__ import annotations

import shlex

from rich.markup import escape

from toprung.cli.console import OUT, print_json
from toprung.cli.options import Json, Overrides, SpecPath
from toprung.spec.load import load_spec


def validate(spec: SpecPath, overrides: Overrides = None, json: Json = False) -> None:
    """Check a spec: every problem at once, or what it resolves to.

    Example: toprung validate search/quickstart.yaml budget.trials=4
    """
    loaded = load_spec(spec, overrides or [])
    phases = [phase.resource_with(phase.rows, loaded.resource) for phase in loaded.phases]
    if json:
        print_json(
            {
                "name": loaded.name,
                "resolved": loaded.resolved,
                "combinations": loaded.combinations,
                "trials": loaded.trials,
                "rungs": list(loaded.resource.rungs),
            }
            | ({"phases": [list(resource.rungs) for resource in phases]} if phases else {})
        )
        return
    OUT.print(loaded.resolved, markup=False)
    many = loaded.combinations
    OUT.print(f"configurations: {'continuous' if many is None else many}")
    for number, resource in enumerate(phases, 1):
        OUT.print(f"rungs of phase {number}: {', '.join(map(str, resource.rungs))} {resource.unit}")
    if not phases:
        OUT.print(f"rungs: {', '.join(map(str, loaded.resource.rungs))} {loaded.resource.unit}")
    again = escape(shlex.join(["toprung", "search", spec, *(overrides or [])]))
    OUT.print(f"[green]ok[/]  run it with: [bold]{again}[/]")
