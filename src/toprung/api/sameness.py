"""Refuses to go on with a search under another spec, clock or data than it began with."""

from __future__ import annotations

from toprung.api.folder import Folder
from toprung.core.errors import FixData, FixSpec, Problem
from toprung.data.dataset import Dataset
from toprung.search.driver import Driver
from toprung.spec.load import load_spec
from toprung.spec.spec import SearchSpec
from toprung.trial.journal import read_events


def check_rows(spec: SearchSpec, data: Dataset) -> None:
    """Refuses a plan that asks for more rows than train has.

    Raises:
        FixSpec: with every phase that does, and its line.
    """
    there = len(data.splits["train"])
    problems = [
        Problem(
            f"phases[{number}].rows",
            f"{phase.rows} rows are more than the {there} of train. "
            "Lower rows, or leave it out for all of them.",
            phase.line,
        )
        for number, phase in enumerate(spec.phases)
        if phase.rows is not None and phase.rows > there
    ]
    if problems:
        raise FixSpec(spec.path, problems)


def same_data(spec: SearchSpec, data: Dataset, driver: Driver) -> None:
    """Refuses other rows than those that the search began with; a first time notes them.

    Raises:
        FixData: they are others.
    """
    then = driver.history.data_sha256
    if then is None:
        driver.write("data", sha256=data.sha256)
    elif then != data.sha256:
        text = (
            "the rows are not those that the search began with, so its scores would not compare. "
            "Bring the old files back, or begin another search with --results."
        )
        raise FixData(spec.path, [Problem("data", text)])


def reopen(folder: Folder) -> SearchSpec:
    """The spec that a search was begun with.

    Raises:
        FixSpec: the folder's spec.yaml was changed into something that is no spec.
    """
    return load_spec(str(folder.spec))


def same_spec(spec: SearchSpec, folder: Folder) -> None:
    """Refuses a folder that holds a search of another spec.

    Raises:
        FixSpec: with a line in which they differ.
    """
    if not folder.spec.is_file() or not folder.journal.is_file():
        return
    if folder.spec.read_text(encoding="utf-8") == spec.resolved:
        return
    # What an older toprung wrote may lack keys that have defaults now.
    then = reopen(folder).resolved
    if then == spec.resolved:
        return
    lines = then.splitlines()
    changed = [line for line in spec.resolved.splitlines() if line not in lines]
    shown = f" It has no line '{changed[0].strip()}'." if changed else ""
    raise FixSpec(
        spec.path,
        [
            Problem(
                "",
                f"{folder.where} holds a search of another spec.{shown} Choose another folder "
                f"with --results, another name with name=…, or remove that folder.",
            )
        ],
    )


def same_clock(spec: SearchSpec, folder: Folder, simulated: bool) -> None:
    """Refuses to go on for real with what was simulated, and the other way round.

    Raises:
        FixSpec: the folder holds the other kind.
    """
    first = next(iter(read_events(folder.journal)), None)
    if first is None or first["time"].startswith("+") == simulated:
        return
    was = "a real search" if simulated else "a simulated search (--runner virtual)"
    text = f"{folder.where} holds {was}. Choose another folder with --results, or remove that one."
    raise FixSpec(spec.path, [text])
