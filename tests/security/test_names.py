"""Names that come from files never become paths outside of their folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from toprung.cli.main import app
from toprung.core.catalogue import find_catalogue_file
from toprung.core.errors import FixEnvironment, FixSpec
from toprung.core.files import inside
from toprung.data.load import load_dataset
from toprung.data.read_unlabelled import read_unlabelled
from toprung.data.source import DataSource
from toprung.spec.load import parse_spec
from toprung.trial.journal import read_events

SPEC = "task: single_label\ndata: {corpus: tickets}\nspace: {backbone: minilm}\nname: "
BAD = ["..", ".", "../x", "a/b", "/etc/x", "a\\b", "C:x", "x" * 65, "-x", ".x", "a b", "é", "con"]
BAD += [
    "NUL.txt",
    "com1",
    "x.",
    "records",
    "README.md",
    "~root",
    "%2e%2e",
    "a:b",
    "$HOME",
    "\u202ex",
]


@pytest.mark.parametrize("name", BAD)
def test_a_search_is_not_named_by_what_is_no_plain_name(name: str) -> None:
    with pytest.raises(FixSpec, match=r"cannot name the folder|is not|refused|no key"):
        parse_spec(f"{SPEC}{json.dumps(name)}\n".encode(), path="x.yaml")


@pytest.mark.parametrize("name", ["..", ".", "a\\b", "-x", "con", "x" * 300])
def test_nor_by_the_name_of_its_file(name: str) -> None:
    text = SPEC.replace("name: ", "")
    with pytest.raises(FixSpec, match="cannot name the folder"):
        parse_spec(text.encode(), path=f"{name}.yaml")


@pytest.mark.parametrize(
    "name", ["../x", "/etc/passwd", "a/../../b", "", "a\0b", "x" * 5000, "a\\..\\b"]
)
def test_a_name_that_leads_out_of_a_folder_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no name below a folder"):
        inside(tmp_path, name)


def test_a_link_that_leads_out_of_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "out").symlink_to(tmp_path)
    (tmp_path / "folder" / "round").symlink_to(tmp_path / "folder" / "round")
    (tmp_path / "folder" / "in").symlink_to(tmp_path / "folder")
    for name in ("out", "out/x", "round/x"):
        with pytest.raises(ValueError, match=r"leads out|cannot be followed"):
            inside(tmp_path / "folder", name)
    assert inside(tmp_path / "folder", "in/x").name == "x"


@pytest.mark.parametrize(
    "name", ["../models/minilm", "..", "/etc/passwd", "a\0b", "x" * 10_000, ""]
)
def test_a_name_of_the_catalogue_is_no_path(name: str) -> None:
    assert find_catalogue_file("models", name) is None


def _trial(event: dict[str, Any]) -> None:
    event["trial"] = "../../t0001"


def _checkpoint(event: dict[str, Any]) -> None:
    event["checkpoint"] = "../../../../etc"


def _absolute(event: dict[str, Any]) -> None:
    event["checkpoint"] = "/etc"


def _nul(event: dict[str, Any]) -> None:
    event["checkpoint"] = "a\0b"


@pytest.mark.parametrize("spoil", [_trial, _checkpoint, _absolute, _nul])
@pytest.mark.parametrize("verb", ["board", "report", "resume", "ensemble"])
def test_no_path_in_a_journal_is_followed(
    spoil: Callable[[dict[str, Any]], None], verb: str, texts: Path
) -> None:
    path = texts / "journal.jsonl"
    events = [json.loads(line) for line in path.read_text().split("\n") if line]
    spoil(next(event for event in events if event["kind"] == "reported"))
    path.write_text("".join(json.dumps(event) + "\n" for event in events))
    with pytest.raises(
        FixEnvironment, match=r"journal\.jsonl:\d+: not the event that belongs here"
    ):
        read_events(path)
    rest = ["--runner", "inline"] if verb == "resume" else []
    ran = CliRunner().invoke(app, [verb, str(texts), *rest])
    assert isinstance(ran.exception, FixEnvironment), ran.exception


@pytest.mark.parametrize("name", ["../../../spec", "/etc/passwd", "..", "a\0b"])
def test_no_path_among_kept_predictions_is_followed(name: str, texts: Path) -> None:
    path = texts / "predictions" / "contenders.json"
    entries = json.loads(path.read_text())
    entries[0]["who"] = name
    path.write_text(json.dumps(entries))
    ran = CliRunner().invoke(app, ["report", str(texts)])
    assert ran.exit_code != 0
    assert "no name below a folder" in str(ran.exception)


NAMES = [
    "../../x",
    "/etc/passwd",
    "a\u2028b",
    "a\x85b",
    "a\x1b[31mb",
    "con",
    "x" * 900,
    "a/b",
    "..",
    "\u202eb",
]


def test_labels_and_columns_of_any_name_stay_names(tmp_path: Path) -> None:
    before = sorted(tmp_path.parent.iterdir())
    rows = [
        {"a/../text": f"text {number} {name}", "../label": name}
        for name in NAMES
        for number in range(9)
    ]
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    source = DataSource(train=str(file), text="a/../text", label="../label")
    data = load_dataset(source, 1)
    assert set(data.label_names) == {name.strip() for name in NAMES}
    assert sorted(tmp_path.parent.iterdir()) == before


def test_arrays_whose_names_are_paths_stay_in_memory(tmp_path: Path) -> None:
    arrays = {"../../acc": np.zeros((4, 2, 1), np.float32)}
    np.savez(tmp_path / "x.npz", **arrays)
    assert read_unlabelled(tmp_path / "x.npz", {"../../acc": (2, 1)}).shapes
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.npz"]
