"""What every verb prints, for people and for scripts."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import pty
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from toprung import __version__
from toprung.api import Search

Toprung = Callable[..., Any]
VERBS = [
    "data",
    "validate",
    "estimate",
    "search",
    "resume",
    "board",
    "tensorboard",
    "ensemble",
    "export",
    "predict",
]
VERBS += ["report"]


@pytest.fixture
def spec(write_spec: Callable[..., Path], tmp_path: Path) -> Path:
    return write_spec(tmp_path)


def test_the_help_lists_the_verbs_in_the_order_of_the_path(toprung: Toprung) -> None:
    answer = toprung("--help")
    assert answer.code == 0
    listed = re.findall(r"^[│ ]+([a-z]+)  ", answer.out, flags=re.M)
    assert [word for word in listed if word in VERBS] == VERBS
    assert "130 interrupted" in " ".join(answer.out.split())


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_every_verb_has_an_example(verb: str, toprung: Toprung) -> None:
    answer = toprung(verb, "--help")
    assert answer.code == 0
    assert f"Example: toprung {verb} " in " ".join(answer.out.split())


def test_the_version_is_the_packages(toprung: Toprung) -> None:
    assert toprung("--version").out == f"toprung {__version__}\n"


def test_validate_prints_a_spec_that_resolves_to_itself(
    toprung: Toprung, spec: Path, tmp_path: Path
) -> None:
    told = json.loads(toprung("validate", spec, "--json").out)
    assert told["name"] == "tiny"
    assert told["rungs"] == [64, 128]
    assert told["combinations"] is None
    again = tmp_path / "again.yaml"
    again.write_text(told["resolved"], encoding="utf-8")
    assert json.loads(toprung("validate", again, "--json").out)["resolved"] == told["resolved"]


def test_validate_tells_the_command_that_runs_what_was_validated(
    toprung: Toprung, spec: Path
) -> None:
    answer = toprung("validate", spec, "budget.trials=2")
    assert answer.code == 0
    assert f"toprung search {spec} budget.trials=2" in answer.out
    assert yaml.safe_load(answer.out.partition("\nconfigurations:")[0])["budget"]["trials"] == 2


def test_data_as_json_counts_rows_of_every_split(toprung: Toprung, spec: Path) -> None:
    answer = toprung("data", spec, "--json")
    assert answer.code == 0
    splits = json.loads(answer.out)["splits"]
    rows = {name: split["rows"] for name, split in splits.items()}
    assert rows == {"train": 192, "validation": 102, "test": 126, "extra": 180}
    words = toprung("data", spec).out.split()
    assert {"classes", "tokens", "duplicates", "leaks"} <= set(words)


def test_board_as_json_holds_the_leaderboard(toprung: Toprung, copied: Search) -> None:
    told = json.loads(toprung("board", copied.folder.root, "--json").out)
    assert [row["trial"] for row in told] == [row.trial for row in copied.rows()]
    assert told[0].keys() >= {"rank", "trial", "score", "resource", "seconds", "state", "reason"}
    best = next(row for row in told if row["state"] != "baseline")
    assert best["config"] == copied.best()
    assert len(json.loads(toprung("board", copied.folder.root, "--json", "--top", "2").out)) == 2


@pytest.mark.parametrize("columns", [60, 80, 140])
def test_board_shows_why_each_trial_stands_where_it_does(
    columns: int, toprung: Toprung, copied: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    copied.folder.leaderboard.unlink()
    answer = toprung("board", "tiny", "--results", copied.settings.results)
    words = " ".join(answer.out.split())
    for trial in copied.history().trials:
        assert trial in words
    assert words.count("macro_f1") > 2
    assert "every trial: minilm depth=1" in words
    assert max(len(line) for line in answer.out.splitlines()[:-1]) <= 140
    assert next(csv.reader(io.StringIO(copied.folder.leaderboard.read_text())))[0] == "rank"


def test_report_writes_the_report_again(toprung: Toprung, copied: Search) -> None:
    views = (copied.folder.report, copied.folder.page)
    before = [view.read_bytes() for view in views]
    for view in views:
        view.unlink()
    answer = toprung("report", "tiny", "--results", copied.settings.results)
    assert answer.code == 0
    assert answer.out.split() == [str(view) for view in views]
    assert [view.read_bytes() for view in views] == before


def test_ensemble_builds_it_again_and_ends_with_the_next_commands(
    toprung: Toprung, copied: Search
) -> None:
    results = copied.settings.results
    answer = toprung("ensemble", "tiny", "--runner", "inline", "--results", results)
    assert answer.code == 0
    assert "members: " in answer.out
    assert f"toprung predict tiny rows.jsonl -o out.jsonl --results {results}" in answer.out
    said = json.loads((copied.folder.ensemble / "ensemble.json").read_text(encoding="utf-8"))
    assert said["test"]["opened"] == 2


def test_a_renamed_folder_is_gone_on_with_itself(toprung: Toprung, copied: Search) -> None:
    renamed = copied.folder.root.rename(copied.folder.root.with_name("other"))
    answer = toprung("resume", renamed, "--runner", "inline")
    assert answer.code == 0
    assert "toprung board other" in answer.out
    assert not copied.folder.root.exists()


def test_a_simulated_search_offers_only_what_it_has(
    toprung: Toprung, spec: Path, tmp_path: Path
) -> None:
    answer = toprung("search", spec, "--runner", "virtual", "--results", tmp_path / "res")
    assert answer.code == 0
    assert "toprung board tiny" in answer.out
    assert "predict" not in answer.out
    assert "report.md" not in answer.out


def test_a_terminal_shows_one_live_table(spec: Path, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    words = ["search", str(spec), "--runner", "virtual", "--results", str(tmp_path / "res")]
    with subprocess.Popen(
        [sys.executable, "-m", "toprung.cli.main", *words],
        env={**os.environ, "COLUMNS": "120", "TERM": "xterm"},
        stdout=subprocess.DEVNULL,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # how Linux tells that the other side has closed
            while piece := os.read(ours, 65536):
                shown += piece
    os.close(ours)
    assert process.returncode == 0
    text = shown.decode("utf-8")
    for word in ("toprung · tiny", "best macro_f1", "ETA", "disk left", "4/4"):
        assert word in text
    assert "Traceback" not in text


@pytest.fixture
def served(finished: Search) -> Iterator[tuple[psutil.Process, str]]:
    """A TensorBoard on the finished search: its process and address."""
    words = ["tensorboard", str(finished.folder.root), "--port", "0"]
    with subprocess.Popen(
        [sys.executable, "-m", "toprung.cli.main", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            lines = iter(process.stdout.readline, "")
            found = (re.search(r"http://[\w.]+:\d+", line) for line in lines)
            address = next(match.group() for match in found if match)
            yield psutil.Process(process.pid), address
        finally:
            process.terminate()


def test_tensorboard_listens_on_this_machine_only_and_shows_the_trials(
    served: tuple[psutil.Process, str],
) -> None:
    process, address = served
    everyone = [process, *process.children(recursive=True)]
    places = [
        connection.laddr.ip
        for one in everyone
        for connection in one.net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert places
    assert set(places) <= {"127.0.0.1", "::1"}
    end = time.monotonic() + 60
    runs: set[str] = set()
    while not {"t0001", "t0004"} <= runs and time.monotonic() < end:
        with urllib.request.urlopen(f"{address}/data/runs", timeout=30) as answer:
            runs = set(json.load(answer))
        time.sleep(0.2)
    assert {"t0001", "t0002", "t0003", "t0004"} <= runs


def test_validate_tells_the_one_rung_of_a_search_without_early_stopping(
    toprung: Toprung, spec: Path
) -> None:
    told = json.loads(toprung("validate", spec, "scheduler=fifo", "--json").out)
    assert told["rungs"] == [128]


@pytest.mark.parametrize(
    ("words", "option", "told"),
    [
        (["--runner", "inline", "--address", "http://127.0.0.1:8265"], "--runner", "not on a"),
        (["--runner", "virtual", "--address", "127.0.0.1:6379"], "--address", "in this process"),
        (["--detach"], "--detach", "Name its cluster"),
    ],
)
def test_an_option_that_would_say_nothing_is_refused(
    words: list[str], option: str, told: str, toprung: Toprung, spec: Path, copied: Search
) -> None:
    for verb, name in (("search", spec), ("resume", copied.folder.root)):
        answer = toprung(verb, name, *words)
        assert answer.code == 2
        assert f"{option} has 1 problem" in answer.err
        assert told in answer.err


@pytest.mark.parametrize("text", ["²", "++20", "+2000000", "-5", "many"])
def test_a_number_of_trials_that_is_none_is_refused(
    text: str, toprung: Toprung, copied: Search
) -> None:
    answer = toprung("resume", copied.folder.root, f"--trials={text}")
    assert answer.code == 2
    assert "is not a number of trials" in answer.err
    assert copied.history().extended == 0


def test_a_board_that_may_only_be_read_is_shown(
    toprung: Toprung, copied: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*given: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(sys.modules["toprung.cli.board"], "write_leaderboard", refuse)
    answer = toprung("board", copied.folder.root)
    assert answer.code == 0
    assert "t0001" in answer.out
