"""``toprung export``: the ensemble in the formats of others."""

from __future__ import annotations

from typing import Annotated

import typer

from toprung.api.exporting import export as export_ensemble
from toprung.api.folder import find_search
from toprung.cli.console import OUT
from toprung.cli.options import Results, SearchName


def export(
    name: SearchName,
    to: Annotated[str, typer.Option("--to", help="huggingface or onnx.")] = "huggingface",
    results: Results = "results",
) -> None:
    """Write the ensemble for transformers, PEFT or onnxruntime, its answers checked.

    Example: toprung export quickstart --to huggingface
    """
    folder, told = export_ensemble(find_search(name, results), to)
    for line in told:
        OUT.print(line, markup=False, highlight=False)
    OUT.print(f"exported to {folder}", markup=False, highlight=False)
