"""Before the first trial: does every node reach the results, and how quickly."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial

from toprung.api.folder import Folder
from toprung.core.errors import FixSpec
from toprung.search.driver import Driver
from toprung.search.runners._base import Runner
from toprung.storage.probe import (
    Probed,
    holds_back_a_second_writer,
    leave_mark,
    probe,
    remove_mark,
)


def check_place(folder: Folder) -> None:
    """Makes sure that this machine can keep a search there, and be its only writer.

    Raises:
        FixSpec: it cannot; the message names machine, place and the next step.
    """
    with _marked(folder) as token:
        _refuse(folder, [probe(folder.where, token)])
        if folder.store is not None and not holds_back_a_second_writer(folder.where, token):
            text = (
                f"{folder.where} lets a second writer replace what is there, so that two drivers "
                f"could mix their journals. Take a storage with conditional writes "
                f"(If-None-Match), such as S3, or a shared folder."
            )
            raise FixSpec("--results", [text])


def probe_nodes(folder: Folder, runner: Runner, driver: Driver) -> None:
    """Has every node that trials may run on try the results, and journals how long it took.

    Raises:
        FixSpec: with every node that cannot use them.
    """
    with _marked(folder) as token:
        found = runner.on_each_node(partial(probe, folder.where, token))
    told = [_told(node, answer) for node, answer in found.items()]
    _refuse(folder, told)
    if len(told) > 1 or folder.store is not None:
        nodes = [{"node": one.node, "milliseconds": one.milliseconds} for one in told]
        driver.write("probed", place=folder.where, nodes=nodes)


@contextmanager
def _marked(folder: Folder) -> Iterator[str]:
    # Not seeded: it tells one look at the place from every other.
    token = secrets.token_hex(6)
    try:
        leave_mark(folder.where, token)
    except OSError as error:
        problem = f"cannot be written ({error.strerror or error})"
        _refuse(folder, [Probed(socket.gethostname(), {}, problem)])
    try:
        yield token
    finally:
        with suppress(OSError):
            remove_mark(folder.where, token)


def _told(node: str, answer: Probed | BaseException) -> Probed:
    if isinstance(answer, Probed):
        return Probed(node, answer.milliseconds, answer.problem)
    return Probed(node, {}, f"did not answer: {type(answer).__name__}: {answer}")


def _refuse(folder: Folder, found: Iterable[Probed]) -> None:
    advice = (
        "Let it be mounted there, writable, under the same path; or give a URL, such as "
        "--results s3://bucket/prefix."
        if folder.store is None
        else "Look at the URL, and at the credentials in the environment of that node."
    )
    problems = [
        f"node {one.node}: {folder.where} {_sentence(one.problem)}. {advice}"
        for one in found
        if one.problem is not None
    ]
    if problems:
        raise FixSpec("--results", problems)


def _sentence(problem: str) -> str:
    known = ("does ", "reads ", "cannot ", "did ")
    return problem if problem.startswith(known) else f"cannot be used: {problem}"
