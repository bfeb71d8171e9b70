"""Simulated searches: the same journal every time, also when they are killed on the way."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from toprung.judge.leaderboard import rank_trials, write_leaderboard
from toprung.search.driver import Driver
from toprung.search.plan import Plan
from toprung.search.runners.virtual import Virtual, simulate, synthetic_curve
from toprung.search.schedulers import registry as schedulers
from toprung.search.searchers import registry as searchers
from toprung.trial.config import Assignment, Resource
from toprung.trial.history import History
from toprung.trial.journal import Journal, read_events
from toprung.trial.report import Metric, Report
from toprung.trial.space import Choice, Float, Int, Option, Space

LORA = Space({"rank": Int(4, 64, log=True)})
FINALISTS = 3
SPACE = Space(
    {
        "adapter": Choice((Option("full"), Option("lora", LORA))),
        "learning_rate": Float(1e-5, 1e-1, log=True),
    }
)
RESOURCE = Resource("examples", 512, 13824, (512, 1024, 1536, 4608, 13824))
F1 = Metric("macro_f1")
KILLS = 12


def train(assignment: Assignment) -> Iterator[Report]:
    """Learning curves; each 7th trial diverges and each 5th loses its worker once."""
    number = int(assignment.config.trial[1:5])
    if number % 5 == 0 and assignment.attempt == 1:
        raise ConnectionResetError("the worker went away")
    for report in simulate(synthetic_curve(F1, RESOURCE), RESOURCE, F1)(assignment):
        if number % 7 == 0 and report.resource > 512:
            broken = {"macro_f1": float("nan")}
            report = Report(report.trial, report.resource, broken, report.seconds)
        yield report


def search(
    folder: Path,
    scheduler: str = "asha",
    searcher: str = "random",
    *,
    trials: int = 40,
    pause_seconds: float = 0.0,
    finals: bool = False,
    **options: object,
) -> None:
    """Runs or resumes the search in the folder to its end."""
    runner, rules, source = (
        Virtual(workers=3),
        schedulers.get(scheduler)(**options),
        searchers.get(searcher)(),
    )
    rules.prepare(RESOURCE, F1, finalists=FINALISTS)
    source.prepare(SPACE, 7, [{"adapter": "full", "learning_rate": 1e-3}])
    plan = Plan(F1, RESOURCE, trials, seed=7)
    wait = [lambda event: time.sleep(pause_seconds)] if pause_seconds else []
    with Journal(folder, runner.clock, durable=bool(wait)) as journal:
        driver = Driver(plan, rules, source, journal, watchers=wait)
        if driver.history.closed is None:
            runner.run(driver, train)
            driver.finish()
        if finals:
            driver.train_fully(finalists(driver.history), seeds=2)
            runner.run(driver, train)


def finalists(history: History) -> list[str]:
    """As many as wanted, best first by their first report, which later training leaves."""
    records = [r for r in history.trials.values() if r.reports and r.source != "finalist"]
    records.sort(key=lambda r: r.reports[0].metrics["macro_f1"], reverse=True)
    return [record.config.trial for record in records[:FINALISTS]]


def course(folder: Path) -> list[dict]:
    """The journal without what a restart adds or renumbers."""
    waiting, left = set(), []
    for event in read_events(folder / "journal.jsonl"):
        told = {k: v for k, v in event.items() if k not in ("seq", "epoch", "time")}
        if event["kind"] in ("suggested", "promoted", "finalist", "failed"):
            waiting.add(event["trial"])
        restarted = event["kind"] == "started" and event["trial"] not in waiting
        if event["kind"] == "started":
            waiting.discard(event["trial"])
        if event["kind"] != "opened" and not restarted:
            left.append(told)
    return left


def leaderboard(folder: Path) -> str:
    rows = rank_trials(History.of(read_events(folder / "journal.jsonl")), F1)
    write_leaderboard(folder / "leaderboard.csv", rows)
    return (folder / "leaderboard.csv").read_text()


VARIANTS = [
    ("asha", "random", {}),
    ("asha", "random", {"rule": "promote"}),
    ("asha", "random", {"rule": "stop"}),
    ("asha", "tpe", {"brackets": 2}),
    ("asha", "grid", {"reduction_factor": 3}),
    ("fifo", "tpe", {}),
]


@pytest.mark.parametrize(("scheduler", "searcher", "options"), VARIANTS)
def test_the_same_spec_and_seed_give_the_same_journal_byte_for_byte(
    scheduler, searcher, options, tmp_path
) -> None:
    journals = []
    for name in ("one", "two"):
        search(tmp_path / name, scheduler, searcher, trials=24, **options)
        journals.append((tmp_path / name / "journal.jsonl").read_bytes())
    assert journals[0] == journals[1]
    assert len(journals[0]) > 10_000


def check_cuts(folder: Path, cuts: Sequence[int] | None, *names: str, **options: object) -> None:
    """Cuts a finished journal after some lines or all, and resumes each."""
    search(folder / "whole", *names, **options)
    lines = (folder / "whole" / "journal.jsonl").read_bytes().splitlines(keepends=True)
    whole, chance = course(folder / "whole"), random.Random(1)
    for cut in cuts or range(1, len(lines)):
        if cut >= len(lines):
            continue
        torn = lines[cut][: chance.randrange(len(lines[cut]))]
        (folder / str(cut)).mkdir()
        (folder / str(cut) / "journal.jsonl").write_bytes(b"".join(lines[:cut]) + torn)
        search(folder / str(cut), *names, **options)
        assert course(folder / str(cut)) == whole, f"cut after line {cut}"


@pytest.mark.parametrize(("scheduler", "searcher", "options"), VARIANTS)
def test_a_journal_cut_anywhere_grows_back_to_the_same_course(
    scheduler, searcher, options, tmp_path
) -> None:
    cuts = range(3, 200, 13) if searcher == "tpe" else None
    check_cuts(tmp_path, cuts, scheduler, searcher, trials=16, **options)


@pytest.mark.parametrize("rule", ["eager", "promote", "stop"])
def test_a_journal_cut_among_the_finalists_grows_back_to_the_same_course(rule, tmp_path) -> None:
    check_cuts(tmp_path, None, "asha", "random", trials=16, finals=True, rule=rule)


def lines_in(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def kill_on_the_way(folder: Path, chance: random.Random) -> bool:
    """Starts the search in a process of its own and kills it a few events later."""
    journal = folder / "journal.jsonl"
    goal = lines_in(journal) + chance.randint(1, 22)
    command = [sys.executable, str(Path(__file__)), str(folder)]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        while process.poll() is None and lines_in(journal) < goal:
            time.sleep(0.0005)
        time.sleep(chance.random() * 0.004)
        process.kill()
        _, errors = process.communicate()
        assert process.returncode in (0, -9), errors.decode()
        return process.returncode == -9


def test_a_search_that_is_killed_again_and_again_ends_like_one_that_is_not(tmp_path) -> None:
    search(tmp_path / "whole")
    folder, chance, kills = tmp_path / "killed", random.Random(3), 0
    while kills < KILLS:
        assert kill_on_the_way(folder, chance), f"the search ended after {kills} kills"
        kills += 1
    search(folder)
    epochs = {event["epoch"] for event in read_events(folder / "journal.jsonl")}
    assert len(epochs) >= KILLS
    assert course(folder) == course(tmp_path / "whole")
    assert leaderboard(folder) == leaderboard(tmp_path / "whole")


if __name__ == "__main__":
    search(Path(sys.argv[1]), pause_seconds=0.002)
