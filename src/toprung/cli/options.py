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
    typer.Option(
        "--address",
        help="Ray cluster to run on: 'auto', or host:port of its head; with http://host:8265, its "
        "dashboard, the search is sent there and goes on without this terminal.",
    ),
]
HeadAddress = Annotated[
    str | None,
    typer.Option("--address", help="Ray cluster to run on: 'auto', or host:port of its head."),
]
Dashboard = Annotated[
    str | None,
    typer.Option("--address", help="Dashboard of the cluster: http://host:8265.", metavar="URL"),
]
ClusterFile = Annotated[
    str | None,
    typer.Option(
        "--cluster",
        help="A cluster's file (ray start, ray up, KubeRay, Slurm): prints the native commands and "
        "uses the dashboard at --address, else at http://127.0.0.1:8265.",
        metavar="FILE",
    ),
]
Priority = Annotated[
    float,
    typer.Option(
        "--priority",
        min=0.01,
        max=1000,
        help="Weight among the searches that share a cluster: 2 gets twice the share of 1.",
    ),
]
AllowOpen = Annotated[
    bool,
    typer.Option(
        "--allow-open-cluster", help="Use a cluster on a network even if it asks for no token."
    ),
]
AtOnce = Annotated[
    int | None,
    typer.Option(
        "--at-once",
        min=1,
        help="Trials at a time, at most; a cluster that starts nodes when they are asked for is "
        "asked for so many. Without it, as many as the nodes hold.",
    ),
]
Detach = Annotated[
    bool, typer.Option("--detach", help="Send the search to the cluster, and do not follow it.")
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
