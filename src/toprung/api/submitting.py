"""A search on a cluster that goes on without who sent it: submit, find, follow."""

from __future__ import annotations

import re
import secrets
import shlex
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from toprung import __version__
from toprung.api.opening import Settings
from toprung.core.clock import SystemClock
from toprung.core.errors import FixSpec, Problem
from toprung.learn.backbone.card import card_names
from toprung.search.servers._base import Job, JobServer, Unreachable
from toprung.spec.spec import SearchSpec

OURS = "toprung"
"""Note of every job that is a search; its value is the version that sent it."""
_STOP_SECONDS = 600
_PROGRAM = ("exec", "python", "-m", "toprung.cli.main")


@dataclass(frozen=True)
class Sent:
    """A search's job on a cluster.

    Attributes:
        job: as Ray knows it.
        name: of the search.
        results: folder or URL where it is kept, as the cluster's nodes name it.
    """

    job: Job
    name: str
    results: str


def submit_search(server: JobServer, spec: SearchSpec, settings: Settings) -> tuple[Sent, bool]:
    """Has a cluster run a search; whether it was sent just now, or is running already.

    Raises:
        FixSpec: data or results lie where only this machine sees them.
        FixEnvironment: the cluster refuses.
    """
    _refuse_local(spec, settings.results)
    running = _running(server, spec.name, settings.results)
    if running is not None:
        return running, False
    with tempfile.TemporaryDirectory(prefix="toprung-") as folder:
        file = f"{spec.name}.yaml"
        (Path(folder) / file).write_text(spec.to_yaml(portable=True), encoding="utf-8")
        return _send(server, ("search", file), spec.name, settings, Path(folder)), True


def submit_resume(
    server: JobServer, name: str, settings: Settings, *, more_trials: int = 0
) -> tuple[Sent, bool]:
    """Has a cluster go on with a search; whether it was sent just now, or is running already.

    Args:
        server: of the cluster.
        name: of the search.
        settings: with its results; a relative folder stands for where the cluster had it last.
        more_trials: added to its budget.

    Raises:
        FixSpec: the cluster has had no search of that name, and the results are not named.
    """
    results = settings.results
    if not _seen_everywhere(results):
        results = find_sent(server, name).results
    running = _running(server, name, results)
    if running is not None:
        return running, False
    words = ("resume", name, *(("--trials", f"+{more_trials}") if more_trials else ()))
    with tempfile.TemporaryDirectory(prefix="toprung-") as folder:
        (Path(folder) / "README").write_text("A search is gone on with here.\n", encoding="utf-8")
        placed = replace(settings, results=results)
        return _send(server, words, name, placed, Path(folder)), True


def searches(server: JobServer) -> list[Sent]:
    """Every search that was sent to the cluster, the oldest first."""
    return [
        Sent(job, job.notes.get("name", job.name), job.notes.get("results", ""))
        for job in server.jobs()
        if OURS in job.notes
    ]


def find_sent(server: JobServer, name: str) -> Sent:
    """The latest job of a search, by the search's or the job's own name.

    Raises:
        FixSpec: there is none; the message names those that are there.
    """
    found = searches(server)
    for sent in reversed(found):
        if name in (sent.name, sent.job.name):
            return sent
    known = ", ".join(sorted({sent.name for sent in found}))
    there = f"Searches there: {known}." if known else "No search was sent there."
    raise FixSpec(name, [f"no search of this name on the cluster at {server.url}. {there}"])


def follow(
    server: JobServer, name: str, wait: Callable[[float], None], *, seconds: float = 1.0
) -> Iterator[str]:
    """What a job prints, as it comes, until it has ended; waits where the network is gone.

    Args:
        server: of the cluster.
        name: of the job.
        wait: for so many seconds.
        seconds: between two looks.
    """
    shown, away = 0, False
    while True:
        try:
            over = server.job(name).is_over
            text = server.log(name)
        except Unreachable:
            if not away:
                yield "(the cluster does not answer; the search goes on, this waits)\n"
            away = True
            wait(max(seconds, 2.0))
            continue
        away = False
        if len(text) > shown:
            yield text[shown:]
            shown = len(text)
        if over:
            return
        wait(seconds)


def _running(server: JobServer, name: str, results: str) -> Sent | None:
    """The job that is at work on the search."""
    for sent in searches(server):
        if (sent.name, sent.results) == (name, results) and not sent.job.is_over:
            return sent
    return None


def _send(
    server: JobServer, words: Sequence[str], name: str, settings: Settings, folder: Path
) -> Sent:
    digits = re.sub(r"\D", "", SystemClock().stamp())
    job = f"toprung-{name}-{digits[4:8]}-{digits[8:14]}-{secrets.token_hex(2)}"
    given = ["--address", "auto", "--results", settings.results]
    if settings.priority != 1.0:
        given += ["--priority", f"{settings.priority:g}"]
    if settings.at_once is not None:
        given += ["--at-once", str(settings.at_once)]
    if settings.trusts_open:
        given += ["--allow-open-cluster"]
    notes = {OURS: __version__, "name": name, "results": settings.results, "verb": words[0]}
    command = f"{_PROGRAM[0]} {shlex.join((*_PROGRAM[1:], *words, *given))}"
    server.submit(command, name=job, notes=notes, folder=folder, wait_seconds=_STOP_SECONDS)
    return Sent(server.job(job), name, settings.results)


def _seen_everywhere(results: str) -> bool:
    return "://" in results or Path(results).is_absolute()


def _refuse_local(spec: SearchSpec, results: str) -> None:
    problems = []
    if not _seen_everywhere(results):
        text = f"'{results}' is a folder of this machine. Name one that every node of the cluster "
        problems.append(Problem("--results", f"{text}sees: --results /shared/results, or a URL."))
    for key in ("train", "validation", "test", "path"):
        path = getattr(spec.data, key)
        # What is not here is a hub's id, or a path that only the cluster knows.
        if path and not Path(path).is_absolute() and spec.data.locate(path).exists():
            text = (
                f"'{path}' lies beside the YAML, where the cluster does not see it. Put it where "
            )
            text += f"every node does, and name it so: data.{key}=/shared/{Path(path).name}."
            problems.append(Problem(f"data.{key}", text))
    for name in sorted(set(spec.cards) - set(card_names())):
        if not Path(name).is_absolute():
            text = f"the card '{name}' is a file of this machine; name it by an absolute path that "
            problems.append(Problem("space.backbone", f"{text}every node sees."))
    if problems:
        raise FixSpec(spec.path, problems)
