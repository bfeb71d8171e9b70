"""Options that several verbs share."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

Results = Annotated[
    str,
    typer.Option(
        "--results",
        help="Folder that holds a folder a search; or a URL such as s3://bucket/prefix.",
        metavar="DIR",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
RunnerName = Annotated[
    Literal["ray", "inline", "virtual"],
    typer.Option(
        "--runner",
        help="ray: workers on this machine or a cluster; inline: one by one in this process; "
        "virtual: simulated in seconds, nothing is trained.",
    ),
]
Address = Annotated[
    str | None,
    typer.Option("--address", help="Ray cluster to run on: 'auto', or host:port of its head."),
]
SpecPath = Annotated[
    str, typer.Argument(metavar="SPEC", help="YAML file, or the name of a shipped search.")
]
SearchName = Annotated[
    str, typer.Argument(metavar="SEARCH", help="Name, folder or URL of a search that was begun.")
]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="[KEY=VALUE]...", help="Values that replace those of the file."),
]
