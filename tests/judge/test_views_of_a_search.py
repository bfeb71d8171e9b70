"""The views of one whole search on the simulated clock: real driver, journal and decisions."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from toprung.data.tasks.single_label import SingleLabel
from toprung.judge.budget import count_rungs, savings, search_phase
from toprung.judge.finalists import choose_finalists
from toprung.judge.leaderboard import best_trial, rank_trials
from toprung.judge.tensorboard import Scalars, rebuild
from toprung.search.driver import Driver
from toprung.search.plan import Plan
from toprung.search.runners.virtual import Virtual, simulate, synthetic_curve
from toprung.search.schedulers.asha import Asha
from toprung.search.searchers.random import Random
from toprung.trial.config import Resource
from toprung.trial.history import History
from toprung.trial.journal import Event, Journal, read_events
from toprung.trial.report import Metric
from toprung.trial.space import Choice, Float, Int, Option, Space

METRIC = Metric("macro_f1")
RESOURCE = Resource("examples", 10, 270, (10, 30, 90, 270))
LADDERS = {0: (10, 30, 90, 270)}
SPACE = Space(
    {
        "adapter": Choice((Option("full"), Option("lora", Space({"rank": Int(4, 64)})))),
        "learning_rate": Float(1e-5, 1e-2, log=True),
    }
)


@pytest.fixture(scope="module")
def search(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("search")
    runner, scheduler, searcher = Virtual(workers=3), Asha(), Random()
    scheduler.prepare(RESOURCE, METRIC)
    searcher.prepare(SPACE, 7)
    train = simulate(synthetic_curve(METRIC, RESOURCE), RESOURCE, METRIC)
    with Journal(folder, runner.clock, durable=False) as journal:
        view = Scalars(folder / "trials", SPACE, METRIC)
        driver = Driver(
            Plan(METRIC, RESOURCE, 27, seed=7), scheduler, searcher, journal, watchers=[view]
        )
        runner.run(driver, train)
        driver.finish()
        chosen = choose_finalists(rank_trials(driver.history, METRIC), {}, 4, task=SingleLabel())
        driver.train_fully([finalist.trial for finalist in chosen], seeds=2)
        runner.run(driver, train)
        view.close()
    return folder


@pytest.fixture
def events(search: Path) -> list[Event]:
    return read_events(search / "journal.jsonl")


def test_every_trial_and_every_seed_of_a_finalist_is_ranked(events: list[Event]) -> None:
    history = History.of(events)
    rows = rank_trials(history, METRIC)
    assert {row.trial for row in rows} == set(history.trials)
    assert len(rows) == 27 + 4
    scores = [row.score for row in rows]
    assert scores == sorted(scores, reverse=True)
    best = best_trial(rows)
    assert best is not None
    assert best.resource == 270


def test_what_was_saved_does_not_depend_on_the_finalists(events: list[Event]) -> None:
    phase = search_phase(events)
    closed = next(i for i, event in enumerate(events) if event["kind"] == "closed")
    assert savings(phase, RESOURCE) == savings(History.of(events[: closed + 1]), RESOURCE)
    assert 0.5 < savings(phase, RESOURCE).saved_share < 1
    counts = count_rungs(phase, METRIC, LADDERS)
    assert counts[0].reached == 27
    for below, above in pairwise(counts):
        assert below.went_on == above.reached


def test_tensorboard_fed_live_equals_tensorboard_rebuilt_from_the_journal(
    search: Path, events: list[Event], tmp_path: Path
) -> None:
    rebuild(tmp_path / "trials", SPACE, METRIC, events)
    live = sorted((search / "trials").rglob("*tfevents*"))
    assert len(live) == 1 + 27 + 4
    for file in live:
        again = tmp_path / "trials" / file.relative_to(search / "trials")
        assert file.read_bytes() == again.read_bytes()
