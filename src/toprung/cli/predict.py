"""``toprung predict``: rows in, rows with label and probabilities out."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer

from toprung.api.folder import find_search
from toprung.cli.console import escape_controls
from toprung.cli.options import Results
from toprung.core.errors import FixData, Problem
from toprung.core.files import write_text
from toprung.data.read_unlabelled import read_unlabelled
from toprung.data.tasks._base import Task
from toprung.ship.predictor import ENSEMBLE_NAME, Ensemble

BATCH = 1024


def predict(
    name: Annotated[
        str, typer.Argument(metavar="SEARCH", help="Name or folder of a search, or an ensemble/.")
    ],
    rows: Annotated[
        str, typer.Argument(help="JSON Lines with a text a row, - reads stdin; or .npz of series.")
    ],
    out: Annotated[str, typer.Option("-o", "--out", help="JSON Lines; - for stdout.")] = "-",
    text: Annotated[
        str | None,
        typer.Option("--text", help="Field that holds the text; text, or dialogue of summaries."),
    ] = None,
    results: Results = "results",
) -> None:
    """Label rows with the ensemble: each comes back with its label or labels, and probabilities.

    Dialogues come back with a summary. A row's own label is kept as given_label.

    Example: toprung predict quickstart rows.jsonl -o out.jsonl
    """
    folder = Path(name)
    if not (folder / ENSEMBLE_NAME).is_file():
        folder = find_search(name, results).whole_ensemble()
    ensemble = Ensemble.load(folder)
    if ensemble.task.reads == "series":
        answers = _answer_windows(ensemble, rows)
    else:
        field = text or ensemble.task.text_column
        answers = _answers(ensemble, _read(rows, field, ensemble.task), field)
    if out == "-":
        for line in answers:
            print(escape_controls(line), flush=True)
        return
    write_text(Path(out), "".join(f"{line}\n" for line in answers))


def _read(rows: str, text: str, task: Task) -> Iterable[dict[str, Any]]:
    lines, source = (sys.stdin.buffer, "standard input") if rows == "-" else (_open(rows), rows)
    found = _rows(lines, source, text)
    if task.answers == "texts":
        found = _full(found, source, text)
    # A file is read to its end first: a bad row in it leaves nothing half-written.
    return found if rows == "-" else list(found)


def _open(path: str) -> BinaryIO:
    try:
        return Path(path).open("rb")
    except OSError as error:
        raise FixData(path, [Problem("", f"cannot be read: {error.strerror}.")]) from None


def _rows(lines: Iterable[bytes], source: str, text: str) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(lines, 1):
        # Line by line: a whole stream is decoded in blocks, and the number would be a guess.
        try:
            decoded = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            problem = Problem("", f"is not UTF-8 ({error.reason}). Convert it first.", number)
            raise FixData(source, [problem]) from None
        if decoded.strip():
            yield _row(decoded, number, source=source, text=text)


def _row(line: str, number: int, *, source: str, text: str) -> dict[str, Any]:
    try:
        row = json.loads(line, parse_constant=_refuse)
        json.dumps(row, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        raise FixData(source, [Problem("", f"not JSON: {error}.", number)]) from None
    if isinstance(row, str):
        row = {text: row}
    if not isinstance(row, dict) or not isinstance(row.get(text), str):
        had = ", ".join(row) if isinstance(row, dict) else type(row).__name__
        problem = Problem(text, f"no text there; the row has: {had}. Name it with --text.", number)
        raise FixData(source, [problem])
    return row


def _full(rows: Iterable[dict[str, Any]], source: str, text: str) -> Iterator[dict[str, Any]]:
    """The rows, none of which may be empty: of nothing there is no summary."""
    for number, row in enumerate(rows, 1):
        if not row[text].strip():
            told = f"row {number} is empty, and there is nothing to sum up. Fill it in, or leave"
            raise FixData(source, [Problem(text, f"{told} the row out.")])
        yield row


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not a JSON number")


def _answers(ensemble: Ensemble, rows: Iterable[dict[str, Any]], text: str) -> Iterator[str]:
    waiting, many = iter(rows), ensemble.task.many
    while batch := list(islice(waiting, BATCH)):
        found = ensemble.predictions([row[text] for row in batch])
        for row, answer in zip(batch, found, strict=True):
            said = {"labels": list(answer.labels)} if many else {"label": answer.label}
            added = {**said, "probabilities": _rounded(answer.probabilities)}
            if ensemble.task.answers == "texts":
                added = {ensemble.task.label_column: answer.label}
            # What the row said itself is the truth, perhaps, and not ours to replace.
            own = {f"given_{name}": row[name] for name in row if name in added}
            yield json.dumps({**own, **row, **added}, ensure_ascii=False)


def _answer_windows(ensemble: Ensemble, rows: str) -> Iterator[str]:
    """A line for each window, with its place in the file and what it lacks."""
    if rows == "-":
        text = "windows of several modalities are read from an .npz file, not from here. Name one."
        raise FixData("standard input", [Problem("", text)])
    windows = read_unlabelled(Path(rows), ensemble.shapes)
    present = {name: windows.present(name) for name in ensemble.shapes}
    for row, answer in enumerate(ensemble.predictions(windows)):
        said: dict[str, Any] = {"row": row, "label": answer.label}
        said["probabilities"] = _rounded(answer.probabilities)
        missing = [name for name, there in present.items() if not there[row]]
        yield json.dumps({**said, **({"missing": missing} if missing else {})}, ensure_ascii=False)


def _rounded(probabilities: Any) -> dict[str, float]:
    return {label: round(p, 6) for label, p in probabilities.items()}
