"""``toprung export``: the ensemble in the formats of others."""

from __future__ import annotations

from typing import Annotated

import typer

from toprung.api.folder import find_search
from toprung.cli.console import OUT
from toprung.cli.options import Results, SearchName
from toprung.core.later import later

exporting = later("toprung.api.exporting")


def export(
    name: SearchName,
    to: Annotated[str, typer.Option("--to", help="huggingface or onnx.")] = "huggingface",
    results: Results = "results",
) -> None:
    """Write the ensemble for transformers, PEFT or onnxruntime, its answers checked.

    Example: toprung export quickstart --to huggingface
    """
    folder, told = exporting.export(find_search(name, results), to)
    for line in told:
        OUT.print(line, markup=False, highlight=False)
    OUT.print(f"exported to {folder}", markup=False, highlight=False)
