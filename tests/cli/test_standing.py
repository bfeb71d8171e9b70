"""status, logs and stop of a search on this machine, from its folder alone."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from toprung.api import Search
from toprung.trial.journal import read_events

Toprung = Callable[..., Any]


def test_status_tells_every_search_of_a_folder(toprung: Toprung, copied: Search) -> None:
    results = copied.settings.results
    told = json.loads(toprung("status", "--results", results, "--json").out)
    assert [record["name"] for record in told] == ["tiny"]
    one = json.loads(toprung("status", "tiny", "--results", results, "--json").out)
    assert one == told[0]
    assert (one["state"], one["driver"]) == ("over", None)
    assert one["trials"]["suggested"] == len(copied.history().trials)
    assert "over" in toprung("status", "--results", results).out
    assert "no search there" in toprung("status", "--results", results + "/none").out


def test_logs_tell_the_journal_in_words(toprung: Toprung, copied: Search) -> None:
    answer = toprung("logs", "tiny", "--results", copied.settings.results, "--follow")
    assert answer.code == 0
    for trial in copied.history().trials:
        assert f"{trial} starts at 0" in answer.out
    told = " ".join(answer.out.split())
    events = read_events(copied.folder.journal)
    further = [event for event in events if event["kind"] == "started" and event["from"]]
    assert further
    for event in further:
        assert f"{event['trial']} goes on at {event['from']}: chosen for the ensemble" in told
    assert "search phase over" in answer.out


def test_stop_pauses_the_driver_and_says_how_to_go_on(
    toprung: Toprung, write_spec: Callable[..., Path], tmp_path: Path
) -> None:
    spec = write_spec(tmp_path, budget={"trials": 200})
    results = tmp_path / "results"
    words = [sys.executable, "-m", "toprung.cli.main", "search", str(spec), "--runner", "inline"]
    with subprocess.Popen(
        [*words, "--results", str(results)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            journal = results / "tiny" / "journal.jsonl"
            ends = time.monotonic() + 120
            while not (journal.exists() and b"decided" in journal.read_bytes()):
                assert time.monotonic() < ends
                time.sleep(0.1)
            told = json.loads(toprung("status", "tiny", "--results", results, "--json").out)
            assert (told["state"], told["driver"]["pid"]) == ("running", process.pid)
            answer = toprung("stop", "tiny", "--results", results)
            assert (answer.code, "pauses" in answer.out) == (0, True)
            assert process.wait(timeout=120) == 130
        finally:
            if process.poll() is None:
                os.kill(process.pid, signal.SIGKILL)
    assert "interrupted" in {event["kind"] for event in read_events(journal)}
    told = json.loads(toprung("status", "tiny", "--results", results, "--json").out)
    assert (told["state"], told["driver"]) == ("paused", None)
    assert "was not running" in toprung("stop", "tiny", "--results", results).out


def test_an_address_that_is_no_dashboard_is_one_problem(toprung: Toprung) -> None:
    for verb in (("status",), ("logs", "x"), ("stop", "x")):
        answer = toprung(*verb, "--address", "10.0.0.1:6379")
        assert answer.code == 2
        assert "not the address of a dashboard" in answer.err


def test_a_search_that_cannot_be_read_hides_no_other(
    toprung: Toprung, copied: Search, tmp_path: Path
) -> None:
    results = copied.folder.root.parent
    shutil.copytree(copied.folder.root, results / "moved")
    (results / "moved" / "spec.yaml").write_text("task: none\n", encoding="utf-8")
    told = json.loads(toprung("status", "--results", results, "--json").out)
    assert [(one["name"], one["state"]) for one in told] == [
        ("moved", "unreadable"),
        ("tiny", "over"),
    ]
    assert "task" in told[0]["message"]
    answer = toprung("status", "--results", results)
    assert (answer.code, "unreadable" in answer.out) == (0, True)
    assert toprung("status", "moved", "--results", results).code == 2


def test_stop_names_the_search_where_it_is_kept(toprung: Toprung, copied: Search) -> None:
    results = copied.settings.results
    answer = toprung("stop", "tiny", "--results", results)
    assert f"toprung resume tiny --results {results}" in " ".join(answer.out.split())
