"""Every exit code by a real case; what went wrong is said in words, never in a traceback."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from toprung.api import Search
from toprung.trial.journal import read_events

Toprung = Callable[..., Any]
DIVERGING: dict[str, Any] = {
    "space": {
        "backbone": {"minilm": {"depth": 1}},
        "adapter": {"lora": {"rank": 2}},
        "schedule": "constant",
        "batch_size": 2,
        "weight_decay": 10,
        "max_length": 8,
    },
    "searcher": "grid",
    "resource": {"unit": "examples", "min": 64, "max": 128},
    "ensemble": {"uniform": {"members": 1, "candidates": 1}},
}
# The rate times the weight decay takes a weight times -99 a step: infinite after twenty.
TOO_HIGH, SOUND = 10.0, 0.005
WAITS = """
import time
from toprung.cli.main import main
waited, time.sleep = [0.0], lambda seconds: waited.append(seconds)
try:
    main()
finally:
    print("seconds:", sum(waited))
"""


def diverging(rates: list[float], trials: int) -> dict[str, Any]:
    space = {**DIVERGING["space"], "learning_rate": rates}
    return {**DIVERGING, "space": space, "budget": {"trials": trials}}


@pytest.fixture
def search(toprung: Toprung, tmp_path: Path, write_spec: Callable[..., Path]) -> Toprung:
    """Searches inline with a changed tiny spec."""

    def run(*words: str, **replaced: Any) -> Any:
        path = write_spec(tmp_path, **replaced)
        answer = toprung(
            "search", path, "--runner", "inline", "--results", tmp_path / "results", *words
        )
        assert "Traceback" not in answer.err
        return answer

    return run


def test_0_for_a_search_that_is_through(toprung: Toprung, copied: Search) -> None:
    answer = toprung("resume", "tiny", "--runner", "inline", "--results", copied.settings.results)
    assert (answer.code, "Traceback" in answer.err) == (0, False)


def test_1_where_no_trial_is_usable(search: Toprung, toprung: Toprung, tmp_path: Path) -> None:
    answer = search(**diverging([TOO_HIGH], 1))
    folder = tmp_path / "results" / "tiny"
    again = toprung("resume", folder, "--runner", "inline")
    assert (answer.code, again.code) == (1, 1)
    for one in (answer, again):
        assert "No trial is usable" in one.err
        assert f"toprung resume {folder} --trials +1" in one.err
    board = (tmp_path / "results" / "tiny" / "leaderboard.csv").read_text(encoding="utf-8")
    assert "diverged" in board


def test_4_where_some_trials_diverged_but_the_result_is_usable(
    search: Toprung, toprung: Toprung, tmp_path: Path
) -> None:
    answer = search(**diverging([TOO_HIGH, SOUND], 2))
    assert answer.code == 4
    rows = json.loads(toprung("board", tmp_path / "results" / "tiny", "--json").out)
    states = {row["trial"]: row["state"] for row in rows if row["state"] != "baseline"}
    assert sorted(states.values()) == ["completed", "diverged"]
    assert "members: " in answer.out
    given = b'{"text": "late"}\n'
    assert toprung("predict", tmp_path / "results" / "tiny", "-", stdin=given).code == 0


def test_2_for_a_bad_spec_with_all_its_problems(toprung: Toprung, tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("task: single_labl\ndata: {corpus: tickets}\nspace: {pooling: [mena]}\n")
    for verb in ("validate", "data", "search"):
        answer = toprung(verb, path)
        assert answer.code == 2
        assert "single_label" in answer.err
        assert "'mean'" in answer.err
        assert "line 3" in answer.err
        assert "Traceback" not in answer.err


def test_2_for_bad_data_and_nothing_half_written(
    search: Toprung, toprung: Toprung, tmp_path: Path
) -> None:
    (tmp_path / "rows.jsonl").write_text('{"text": "late", "label": "a"}\n{"text": \n')
    answer = search(data={"train": "rows.jsonl"})
    assert answer.code == 2
    assert "rows.jsonl:2: not JSON" in answer.err
    assert not (tmp_path / "results" / "tiny" / "journal.jsonl").exists()
    assert not (tmp_path / "results" / "tiny" / "spec.yaml").exists()


def test_2_for_another_spec_under_the_same_name(toprung: Toprung, copied: Search) -> None:
    words = ("--runner", "inline", "--results", copied.settings.results)
    answer = toprung("search", copied.folder.spec, "seed=8", *words)
    assert answer.code == 2
    assert "another spec" in answer.err


@pytest.mark.parametrize(
    "words",
    [
        ["nosuchverb"],
        ["board"],
        ["board", "no-such-search"],
        ["board", "x", "--nosuch"],
        ["board", "x", "--top", "-1"],
        ["search", "quickstart", "--runner", "slurm"],
        ["search", "quickstart", "nosuch.key=3"],
        ["resume", "x", "--trials", "many"],
        ["tensorboard", "x", "--port", "99999"],
        ["predict", "no-such-search", "-"],
        ["report", "../../etc"],
    ],
    ids=" ".join,
)
def test_2_for_words_that_cannot_be_meant(words: list[str], toprung: Toprung) -> None:
    answer = toprung(*words)
    assert answer.code == 2
    assert answer.err.strip()
    assert "Traceback" not in answer.err


def test_3_for_a_hub_model_without_a_network_at_once_and_what_to_do(
    tmp_path: Path, write_spec: Callable[..., Path]
) -> None:
    space = {"backbone": "bert_base", "pooling": "mean", "max_length": 16}
    path = write_spec(tmp_path, space=space)
    done = subprocess.run(
        [sys.executable, "-c", WAITS, "data", str(path)],
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 3
    assert "hf download google-bert/bert-base-uncased" in done.stderr
    assert "minilm" in done.stderr
    assert "Traceback" not in done.stderr
    assert float(done.stdout.rpartition("seconds:")[2]) < 5


def test_3_for_results_that_cannot_be_written(
    toprung: Toprung, tmp_path: Path, write_spec: Callable[..., Path]
) -> None:
    (tmp_path / "file").write_text("")
    words = ("--runner", "virtual", "--results", tmp_path / "file")
    answer = toprung("search", write_spec(tmp_path), *words)
    assert answer.code == 3
    assert "Traceback" not in answer.err


def test_3_for_an_ensemble_that_was_not_built(toprung: Toprung, copied: Search) -> None:
    shutil.rmtree(copied.folder.ensemble)
    answer = toprung("predict", copied.folder.root, "-")
    assert answer.code == 3
    assert "toprung ensemble" in answer.err


def test_debug_shows_the_traceback_and_keeps_the_code(toprung: Toprung) -> None:
    answer = toprung("--debug", "board", "no-such-search")
    assert answer.code == 2
    assert "Traceback" in answer.err
    assert "FixSpec" in answer.err


def reported(journal: Path) -> list[tuple[str, int]]:
    events = read_events(journal)
    return [(e["trial"], e["resource"]) for e in events if e["kind"] == "reported"]


def interrupt_after_a_report(
    process: subprocess.Popen[str],
    journal: Path,
    reports: int,
    number: signal.Signals = signal.SIGINT,
) -> list[psutil.Process]:
    """Sends the signal once so many reports are journaled; the processes that ran by then."""
    end = time.monotonic() + 200
    while len(reported(journal)) < reports and process.poll() is None:
        assert time.monotonic() < end
        time.sleep(0.02)
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(number)
    return children


def test_130_for_ctrl_c_and_the_printed_command_goes_on(
    toprung: Toprung, finished: Search, tmp_path: Path, write_spec: Callable[..., Path]
) -> None:
    results = tmp_path / "my results"
    journal = results / "tiny" / "journal.jsonl"
    words = ["search", str(write_spec(tmp_path)), "--runner", "inline", "--results", str(results)]
    with subprocess.Popen(
        [sys.executable, "-m", "toprung.cli.main", *words], stderr=subprocess.PIPE, text=True
    ) as process:
        interrupt_after_a_report(process, journal, 2)
        _, err = process.communicate()
    assert process.returncode == 130
    assert "Traceback" not in err
    assert read_events(journal)[-1]["kind"] == "interrupted"
    command = err.rpartition("Go on with: ")[2].strip()
    assert shlex.split(command)[:3] == ["toprung", "resume", "tiny"]
    answer = toprung(*shlex.split(command)[1:])
    assert answer.code == 0
    assert len(reported(journal)) == len(set(reported(journal)))
    assert sorted(reported(journal)) == sorted(reported(finished.folder.journal))
    told = Search.attach(str(results / "tiny")).leaderboard().drop(columns="seconds")
    assert told.equals(finished.leaderboard().drop(columns="seconds"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_130_on_ray_and_no_worker_is_left(
    tmp_path: Path, write_spec: Callable[..., Path], number: signal.Signals
) -> None:
    """Going on after it is for the same on ``inline``, and on Ray after a kill."""
    results = tmp_path / "results"
    journal = results / "tiny" / "journal.jsonl"
    words = ["search", str(write_spec(tmp_path)), "--results", str(results)]
    with subprocess.Popen(
        [sys.executable, "-m", "toprung.cli.main", *words], stderr=subprocess.PIPE, text=True
    ) as process:
        children = interrupt_after_a_report(process, journal, 2, number)
        _, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert read_events(journal)[-1]["kind"] == "interrupted"
    workers = [child for child in children if child.is_running() and "ray::" in child.name()]
    _, alive = psutil.wait_procs(workers, timeout=60)
    assert alive == []
    assert "Go on with: toprung resume" in err
