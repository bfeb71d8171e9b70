"""What the verbs share that speak with a cluster: reach it, tell what was sent, follow it."""

from __future__ import annotations

import os
import sys
import time

import typer
from rich.markup import escape

from toprung.api.clusters import DASHBOARD, ClusterFile, read_cluster
from toprung.api.submitting import Sent, follow
from toprung.cli.console import ERRORS
from toprung.core.errors import FixEnvironment, FixSpec, Interrupted
from toprung.search import servers
from toprung.search.servers._base import Job, JobServer

_VERBS = ("status", "logs", "stop", "resume")


def is_remote(address: str | None, cluster: str | None) -> bool:
    """Whether a verb is meant for a cluster's dashboard."""
    return cluster is not None or (address or "").startswith(("http://", "https://"))


def refuse_foreign(address: str | None, cluster: str | None, *, runner: str, detach: bool) -> None:
    """Refuses options that say nothing where a search runs.

    Raises:
        FixSpec: with the option.
    """
    remote = is_remote(address, cluster)
    if remote and runner != "ray":
        text = f"'{runner}' runs in this process, not on a cluster. Leave it out, or the cluster."
        raise FixSpec("--runner", [text])
    if address is not None and runner != "ray":
        text = f"'{runner}' runs in this process, not at {address}. Leave one of the two out."
        raise FixSpec("--address", [text])
    if detach and not remote:
        text = f"the search runs in this process. Name its cluster: --address {DASHBOARD}."
        raise FixSpec("--detach", [text])


def reach(address: str | None, cluster: str | None, *, trusts_open: bool = False) -> JobServer:
    """The jobs of the cluster that the options name; a cluster's file tells its commands first.

    Raises:
        FixSpec: the options name no cluster.
        FixEnvironment: it does not answer, or refuses.
    """
    file = None if cluster is None else read_cluster(cluster)
    if file is not None:
        tell_commands(file)
    url = address or os.environ.get("RAY_API_SERVER_ADDRESS") or DASHBOARD
    if not is_remote(url, None):
        text = f"'{url}' is not the address of a dashboard. Write for example {DASHBOARD}."
        raise FixSpec("--address", [text])
    try:
        return servers.registry.make("ray_jobs", {"url": url, "trusts_open": trusts_open})
    except FixEnvironment as error:
        if file is None:
            raise
        text = f"{error} Bring its dashboard to {url} with the commands above, or give --address."
        raise FixEnvironment(text) from None


def tell_commands(file: ClusterFile) -> None:
    """Prints the native tool's own commands for a cluster's file."""
    ERRORS.print(f"[bold]{escape(file.path)}[/]: {file.kind}")
    for command, what in file.commands:
        ERRORS.print(f"  [bold]{escape(command)}[/]  [dim]{escape(what)}[/]")


def follow_sent(server: JobServer, sent: Sent, *, is_new: bool, detach: bool) -> None:
    """Prints what was sent where and the commands that reach it from anywhere; then watches it.

    Raises:
        typer.Exit, Interrupted: as of ``watch``, which a detached search is spared.
    """
    url, what = server.url, "sent to" if is_new else "is at work already on"
    ERRORS.print(f"{escape(sent.name)} {what} {escape(url)} as [bold]{escape(sent.job.name)}[/]")
    ERRORS.print(f"it is kept in {escape(sent.results)}, and goes on when this terminal closes:")
    for verb in _VERBS:
        ERRORS.print(f"  [bold]toprung {verb} {escape(sent.name)} --address {escape(url)}[/]")
    if not detach:
        watch(server, sent)


def watch(server: JobServer, sent: Sent) -> None:
    """Prints what a search prints until it has ended; Ctrl-C ends only the watching.

    Raises:
        typer.Exit: with the search's own exit code.
        Interrupted: by Ctrl-C; the search goes on.
    """
    try:
        for text in follow(server, sent.job.name, time.sleep):
            sys.stdout.write(text)
            sys.stdout.flush()
    except KeyboardInterrupt:
        again = f"toprung logs {sent.name} --address {server.url} --follow"
        ERRORS.print(f"\nthe search goes on. Follow it again: [bold]{escape(again)}[/]")
        raise Interrupted("only the watching has ended") from None
    job = server.job(sent.job.name)
    code = exit_code(job)
    if code:
        ERRORS.print(f"{escape(sent.name)}: {job.state.lower()}, exit code {code}")
    raise typer.Exit(code)


def exit_code(job: Job) -> int:
    """What the search's command ended with.

    >>> exit_code(Job("j", "FAILED", exit_code=4)), exit_code(Job("j", "STOPPED"))
    (4, 130)
    """
    if job.exit_code is not None:
        return job.exit_code
    return {"SUCCEEDED": 0, "STOPPED": Interrupted.exit_code}.get(job.state, 1)
