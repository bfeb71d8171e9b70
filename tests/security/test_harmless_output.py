"""Labels, texts and names do no harm where they are shown: terminal, JSON, board, journal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rich.markup import escape
from rich.table import Table
from tensorboard import plugin_util
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

from toprung.cli.console import ERRORS, OUT, escape_controls, harmless, print_json
from toprung.cli.summary import board_table
from toprung.core.clock import VirtualClock
from toprung.data.answers import as_texts, read_answers, write_answers
from toprung.judge.leaderboard import Row, write_leaderboard
from toprung.judge.tensorboard import rebuild
from toprung.trial.journal import Journal, read_events
from toprung.trial.report import Metric
from toprung.trial.space import Space

EVIL = "\x1b]0;title\x07\x1b[2J\x9b31m\x08\x7f\u202e <script>alert(1)</script> [red]x[/] =1+1"
MOVES = set("\x1b\x07\x08\x7f\x9b\u202e")


def test_no_text_moves_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table(title=escape(EVIL))
    table.add_column(escape(EVIL))
    table.add_row(escape(EVIL))
    for console in (OUT, ERRORS):
        console.print(escape(EVIL))
        console.print(EVIL, markup=False)
        console.print(EVIL, markup=False, style="dim", highlight=False)
        console.print(table)
    told = capsys.readouterr()
    assert not MOVES & set(told.out + told.err)
    assert "[red]x[/]" in told.out


def test_the_board_shows_a_reason_as_it_reads_and_as_it_moves_nothing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    row = Row(1, "t0001", 0.5, 8, 1.0, "failed", EVIL, {"learning_rate": 0.1, "pooling": EVIL})
    OUT.print(board_table([row], EVIL))
    assert not MOVES & set(capsys.readouterr().out)
    write_leaderboard(tmp_path / "board.csv", [row])
    written = (tmp_path / "board.csv").read_text()
    assert not MOVES & set(written)


def test_a_cell_is_no_formula(tmp_path: Path) -> None:
    for start in ("=", "+", "-", "@", "\t=", "\r="):
        row = Row(1, "t0001", 0.5, 8, 1.0, "failed", f"{start}cmd|' /C calc'!A0")
        write_leaderboard(tmp_path / "board.csv", [row])
        cell = (tmp_path / "board.csv").read_text().splitlines()[1].split(",")[6]
        assert not cell.strip('"').startswith(("=", "+", "-", "@", "\t", "\r"))


def test_json_for_scripts_holds_the_same_value_and_moves_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_json({"label": EVIL})
    told = capsys.readouterr().out
    assert not MOVES & set(told)
    assert json.loads(told) == {"label": EVIL}
    assert json.loads(escape_controls(json.dumps(EVIL, ensure_ascii=False))) == EVIL
    assert harmless("naïve ✓\tx\n") == "naïve ✓\tx\n"


def test_tensorboard_shows_a_reason_without_its_markup(tmp_path: Path) -> None:
    evil = f"{EVIL} <img src=http://x/y.png> ![x](http://x/y.png) [a](http://x)"
    stamp = {"epoch": 1, "at": 1.0, "time": ""}
    trial = {"trial": "t0001", "resource": 8}
    events = [
        {"kind": "suggested", "values": {"a": 1}, "seed": 1, "source": "random", "bracket": 0},
        {"kind": "started", "attempt": 1, "from": 0},
        {"kind": "reported", "metrics": {"accuracy": 0.5}, "seconds": 1.0, "checkpoint": None},
        {"kind": "decided", "decision": "stop", "state": "stopped", "reason": evil, "by": "rule"},
    ]
    numbered = [{"seq": n, **stamp, **trial, **event} for n, event in enumerate(events, 1)]
    rebuild(tmp_path, Space({}), Metric("accuracy"), numbered)
    (file,) = (tmp_path / "t0001").iterdir()
    texts = [
        value.tensor.string_val[0].decode()
        for event in EventFileLoader(str(file)).Load()
        for value in event.summary.value
        if value.tag == "reason"
    ]
    shown = plugin_util.markdown_to_safe_html(texts[0])
    assert "alert(1)" in shown
    assert "<script" not in shown
    assert "<img" not in shown
    assert "href" not in shown


SEPARATORS = ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\r", "\n", "\0"]


@pytest.mark.parametrize("separator", SEPARATORS)
def test_a_label_that_parts_lines_elsewhere_does_not_part_the_journal(
    separator: str, tmp_path: Path
) -> None:
    told = f"class a{separator}b"
    with Journal(tmp_path, VirtualClock()) as journal:
        journal.append("closed", reason=told)
        journal.append("baseline", name="x", metrics={f"recall.{told}": 0.5}, seconds=1.0)
    first, second = read_events(tmp_path / "journal.jsonl")
    assert first["reason"] == told
    assert list(second["metrics"]) == [f"recall.{told}"]
    with Journal(tmp_path, VirtualClock()) as journal:
        assert len(journal.earlier) == 2


@pytest.mark.parametrize("separator", SEPARATORS)
def test_a_summary_that_parts_lines_elsewhere_is_kept_whole(separator: str, tmp_path: Path) -> None:
    texts = as_texts([[f"a{separator}b", "c"], ["d"]])
    write_answers(tmp_path / "ensemble", texts)
    assert read_answers(tmp_path / "ensemble").tolist() == texts.tolist()
