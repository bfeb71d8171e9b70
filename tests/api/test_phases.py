"""Searches by a plan: phases, gates between them, resume anywhere, and one real crash."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from toprung.api import Search
from toprung.api.opening import Settings, Simulation
from toprung.core.errors import FixSpec, GiveUp, Interrupted
from toprung.learn import run as training
from toprung.search.runners._base import Train
from toprung.trial.config import Assignment, Resource
from toprung.trial.journal import Event, read_events
from toprung.trial.report import Metric, Report

SHRINK = {"when": {"crashes": {"at_least": 1}}, "then": {"shrink": {"rows": 150}}}
REACHED = {"when": {"macro_f1": {"at_least": 0.8}, "worst_class": {"at_least": 0.7}}}
SUCCEED = {**REACHED, "then": "succeed"}
PHASES = [
    {"rows": 200, "trials": 6, "epochs": 2},
    {"rows": 400, "best": 2, "trials": 3, "epochs": 2},
]


def simulate(best: dict[int, float], *, crash_at: int = 0, uneven: float = 0.0) -> Simulation:
    """Trials whose score depends on the rows, whose odd ones miss a class, and that may crash."""

    def simulation(resource: Resource, metric: Metric, rows: int | None) -> Train:
        def train(assignment: Assignment) -> Iterator[Report]:
            number = int(assignment.config.trial[1:5])
            for point in resource.points:
                if point <= assignment.start:
                    continue
                if rows == crash_at and point > resource.min:
                    raise MemoryError("no memory for so many rows")
                score = best.get(rows or 0, 0.5) - 0.01 * (number % 5)
                metrics = {
                    metric.name: round(score, 6),
                    "recall.a": 0.9,
                    "recall.b": 0.75 - uneven * (number % 2),
                }
                yield Report(assignment.config.trial, point, metrics, point / 10, f"at{point}")

        return train

    return simulation


@pytest.fixture
def plan(write_spec: Callable[..., Path], tmp_path: Path) -> Callable[..., Search]:
    """A simulated search by a plan."""

    def make(simulation: Simulation, *watchers: Any, where: str = "a", **replaced: Any) -> Search:
        tree = {"phases": PHASES, "gates": [SHRINK, SUCCEED], **replaced}
        path = write_spec(tmp_path / where, name="plan", **tree)
        results = str(tmp_path / where / "results")
        settings = Settings("virtual", results=results, watchers=watchers, simulation=simulation)
        return Search(str(path), settings=settings)

    return make


def events(search: Search, *kinds: str) -> list[Event]:
    return [e for e in read_events(search.folder.journal) if e["kind"] in kinds]


def gates(search: Search) -> list[tuple[int, int, str]]:
    return [(e["phase"], e["attempt"], e["action"]) for e in events(search, "gate")]


def course(search: Search) -> list[tuple[Any, ...]]:
    """Every decision of a search, whoever took it."""
    keys = ("kind", "phase", "attempt", "trial", "resource", "decision", "action", "reason")
    found = events(search, "phase", "suggested", "decided", "promoted", "failed", "gate", "closed")
    return [tuple(event.get(key) for key in keys) for event in found]


def test_a_crash_in_phase_1_leads_to_a_retry_with_fewer_rows(plan) -> None:
    search = plan(simulate({150: 0.9}, crash_at=200)).fit()
    assert gates(search) == [(1, 1, "shrink"), (1, 2, "succeed")]
    first, again = events(search, "phase")
    assert (first["rows"], again["rows"]) == (200, 150)
    assert (first["max"], again["max"]) == (400, 300)
    assert "crashed (out of memory: MemoryError: no memory" in again["reason"]
    # The phase ends at the first crash: nobody waits for five more.
    assert len([e for e in events(search, "failed") if e["state"] == "failed"]) <= 4
    tried = [e["values"] for e in events(search, "suggested") if e["source"] != "finalist"]
    before = len([r for r in search.history().suggested if r.phase == 1])
    assert tried[0] == tried[before]


def test_a_phase_that_reaches_its_gate_stops_the_plan(plan) -> None:
    search = plan(simulate({200: 0.9, 400: 0.95})).fit()
    assert gates(search) == [(1, 1, "succeed")]
    assert len(events(search, "phase")) == 1
    assert len(events(search, "ensembled")) == 1


def test_a_gate_that_is_not_reached_leads_to_phase_2_with_the_best_of_phase_1(plan) -> None:
    search = plan(simulate({200: 0.7, 400: 0.95})).fit()
    assert gates(search) == [(1, 1, "next_phase"), (2, 1, "succeed")]
    second = events(search, "phase")[1]
    history = search.history()
    assert len(second["carried"]) == 2
    own = [record for record in history.suggested if record.phase == 2]
    wanted = [dict(history.trials[trial].config.values) for trial in second["carried"]]
    assert [dict(record.config.values) for record in own[:2]] == wanted
    assert [record.source for record in own] == ["first", "first", "random"]
    assert history.finalists
    assert all(history.trials[trial].phase == 2 for trial in history.finalists)


def test_a_plan_without_a_gate_that_holds_ends_and_still_builds_the_ensemble(plan) -> None:
    search = plan(simulate({})).fit()
    assert gates(search) == [(1, 1, "next_phase"), (2, 1, "end")]
    assert len(events(search, "ensembled")) == 1


def test_debug_stops_with_the_diagnosis_and_without_an_ensemble(plan) -> None:
    debug = {"phase": 1, "when": {"macro_f1": {"below": 0.6}}, "then": "debug"}
    search = plan(simulate({}), gates=[SHRINK, debug])
    for _ in range(2):  # also where it is gone on with
        with pytest.raises(GiveUp, match=r"to be debugged: macro_f1 0.5000 .* is below 0.6"):
            search.fit()
    assert gates(search) == [(1, 1, "debug")]
    told = " ".join(events(search, "gate")[0]["diagnosis"])
    assert "lowest recall: 'b' 0.7500" in told
    assert not events(search, "ensembled", "test_opened")
    assert search.folder.leaderboard.is_file()


def test_a_second_crash_does_not_shrink_for_ever(plan) -> None:
    def crash(resource: Resource, metric: Metric, rows: int | None) -> Train:
        return simulate({}, crash_at=rows or 0)(resource, metric, rows)

    debug = {"when": {"crashes": {"at_least": 1}}, "then": "debug"}
    with pytest.raises(GiveUp, match="crashed"):
        plan(crash, gates=[SHRINK, debug]).fit()


@pytest.mark.parametrize("kind", ["phase", "decided", "gate"])
def test_a_plan_that_is_paused_in_phase_2_goes_on_as_if_it_had_not_been(plan, kind) -> None:
    simulation = simulate({200: 0.7, 400: 0.95})
    whole = plan(simulation, where="whole").fit()
    begun = 0

    def pause(event: Event) -> None:
        nonlocal begun
        begun += event["kind"] == "phase"
        if begun == 2 and event["kind"] == kind:
            search.pause()

    search = plan(simulation, pause, where=kind)
    with pytest.raises(Interrupted):
        search.fit()
    search.settings = plan(simulation, where=kind).settings
    search.fit()
    assert course(search) == course(whole)


def test_a_plan_that_is_killed_anywhere_takes_the_same_decisions(plan, tmp_path: Path) -> None:
    simulation = simulate({150: 0.7, 400: 0.95}, crash_at=200)
    whole = plan(simulation, where="whole").fit()
    lines = whole.folder.journal.read_bytes().splitlines(keepends=True)
    kinds = [json.loads(line)["kind"] for line in lines]
    around = [i + step for i, k in enumerate(kinds) if k in ("phase", "gate") for step in (0, 1)]
    for number, cut in enumerate(sorted({*around, *range(3, len(lines), 11)})):
        search = plan(simulation, where=f"cut{number}")
        search.folder.root.mkdir(parents=True)
        shutil.copy(whole.folder.spec, search.folder.spec)
        search.folder.journal.write_bytes(b"".join(lines[:cut]))
        search.fit()
        assert gates(search) == gates(whole), kinds[cut - 1]
        assert course(search) == course(whole), kinds[cut - 1]


def test_the_same_plan_twice_writes_the_same_journal(plan) -> None:
    simulation = simulate({200: 0.7, 400: 0.95})
    one, two = (plan(simulation, where=name).fit().folder.journal for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()


def test_a_configuration_that_misses_the_floor_ranks_behind_all_that_meet_it(plan) -> None:
    search = plan(simulate({200: 0.7}, uneven=0.2), constraints={"recall": 0.7}, gates=[]).fit()
    rows = [row for row in search.rows() if row.score is not None]
    misses = [row.missing > 0 for row in rows]
    assert misses == sorted(misses)
    assert set(misses) == {True, False}
    assert max(row.score for row in rows if row.missing) > min(
        row.score for row in rows if not row.missing
    )
    last = rows[-1]
    assert "1 of 2 classes miss the floor of recall 0.7, the worst 'b' with 0.5500" in last.reason
    assert "short of recall 0.7" in last.reason
    assert "misses" in search.folder.leaderboard.read_text() or "miss the floor" in (
        search.folder.leaderboard.read_text()
    )


def test_later_phases_may_raise_the_floor(plan) -> None:
    phases = [
        {**PHASES[0], "constraints": {"recall": 0.5}},
        {**PHASES[1], "constraints": {"recall": 0.9}},
    ]
    search = plan(simulate({200: 0.7, 400: 0.75}), phases=phases).fit()
    assert [event["floor"] for event in events(search, "phase")] == [0.5, 0.9]
    assert all("floor of recall 0.9" in row.reason for row in search.rows() if row.missing)


def test_more_trials_go_to_the_last_phase_and_its_gate_is_asked_again(plan) -> None:
    search = plan(simulate({200: 0.7, 400: 0.75})).fit()
    before = len(search.history().suggested)
    search.fit(more_trials=2)
    assert len(search.history().suggested) == before + 2
    assert gates(search)[-2:] == [(2, 1, "end"), (2, 1, "end")]


def test_a_phase_may_have_texts_of_its_own_length(plan) -> None:
    phases = [PHASES[0], {**PHASES[1], "max_length": 32}]
    search = plan(simulate({}), phases=phases).fit()
    lengths = {r.phase: r.config.values["max_length"] for r in search.history().suggested}
    assert lengths == {1: 16, 2: 32}


def test_texts_are_as_long_again_after_a_phase_of_shorter_ones(plan) -> None:
    phases = [{**PHASES[0], "max_length": 8}, PHASES[1]]
    search = plan(simulate({}), phases=phases).fit()
    lengths = {(r.phase, r.config.values["max_length"]) for r in search.history().suggested}
    assert lengths == {(1, 8), (2, 16)}


def test_time_that_is_spent_ends_the_plan(plan) -> None:
    search = plan(simulate({}), budget={"minutes": 0.5}).fit()
    assert gates(search) == [(1, 1, "end")]
    assert "time budget is spent" in events(search, "gate")[0]["reason"]


def test_a_search_without_phases_says_nothing_of_them(finished: Search) -> None:
    assert not events(finished, "phase", "gate")
    text = finished.folder.spec.read_text()
    assert not any(f"{key}:" in text for key in ("phases", "gates", "constraints"))
    report = events(finished, "reported")[0]
    assert not any(name.startswith("recall.") for name in report["metrics"])


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory, write_spec: Callable[..., Path]) -> Search:
    """A real plan on the embedded tickets, in which 160 rows are more than memory holds."""
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("phases")
    weights = training.row_weights

    def run_out(strata: Any, sampling: str) -> Any:
        if len(strata) == 160:
            bytearray(1 << 62)  # the allocator itself refuses
        return weights(strata, sampling)

    path = write_spec(
        root,
        name="real",
        data={"corpus": {"tickets": {"rows": 600}}},
        phases=[
            {"rows": 160, "trials": 2, "epochs": 1, "constraints": {"recall": 0.5}},
            {"rows": 192, "best": 1, "epochs": 1, "scheduler": "fifo"},
        ],
        gates=[
            {"when": {"crashes": {"at_least": 1}}, "then": {"shrink": {"rows": 128}}},
            {"phase": 1, "when": {"gain": {"at_least": 0.9}}, "then": "succeed"},
        ],
    )
    patch = pytest.MonkeyPatch()
    patch.setattr(training, "row_weights", run_out)
    try:
        settings = Settings("inline", results=str(root / "results"))
        return Search(str(path), settings=settings).fit()
    finally:
        patch.undo()


def test_a_real_crash_leads_to_the_smaller_retry_and_the_plan_goes_on(real: Search) -> None:
    assert gates(real) == [(1, 1, "shrink"), (1, 2, "next_phase"), (2, 1, "end")]
    assert "MemoryError" in events(real, "gate")[0]["reason"]
    baselines = [(e["name"], e["rows"]) for e in events(real, "baseline")]
    assert baselines[::2] == [("majority", 160), ("majority", 128), ("majority", 192)]
    assert all(e["split"] == "stopping" for e in events(real, "gate"))


def test_the_test_split_is_opened_after_the_last_gate(real: Search) -> None:
    kinds = [event["kind"] for event in read_events(real.folder.journal)]
    assert kinds.count("test_opened") == 1
    assert kinds.index("test_opened") > max(i for i, kind in enumerate(kinds) if kind == "gate")


def test_the_report_tells_the_decision_tree_and_its_outcome(real: Search) -> None:
    text = real.folder.report.read_text(encoding="utf-8")
    section = text.partition("## Phases")[2].partition("\n## ")[0]
    assert "1. if crashes is at least 1, shrink to 128 rows" in section
    assert "rule 1 (shrink): **holds**: 1 of 1 trials crashed" in section
    assert "Gate after phase 1, attempt 2" in section
    costs = [line for line in section.splitlines() if line.startswith("- cost: gain")]
    assert len(costs) == 2  # the phase that crashed has no trial to tell of
    assert all("over tfidf_logreg" in line.replace("\\", "") for line in costs)
    assert "not worth its cost so far" in costs[0]
    assert "classes miss the floor" in section
    assert real.report() == text


def test_a_real_plan_goes_on_in_the_middle_of_phase_2(real: Search, tmp_path: Path) -> None:
    lines = real.folder.journal.read_bytes().splitlines(keepends=True)
    kinds = [json.loads(line)["kind"] for line in lines]
    second = len(kinds) - kinds[::-1].index("phase") - 1
    started = kinds.index("started", second)
    root = tmp_path / "real"
    shutil.copytree(real.folder.root, root)
    shutil.rmtree(root / "ensemble")
    shutil.rmtree(root / "predictions")
    (root / "journal.jsonl").write_bytes(b"".join(lines[: started + 1]))
    again = Search.attach("real", Settings("inline", results=str(tmp_path))).fit()
    assert gates(again) == gates(real)
    assert [r.score for r in again.rows()] == [r.score for r in real.rows()]


def test_a_plan_for_more_rows_than_there_are_is_refused_with_its_line(
    write_spec: Callable[..., Path], tmp_path: Path
) -> None:
    path = write_spec(tmp_path, name="much", phases=[{"rows": 100000, "epochs": 1}])
    line = next(n for n, text in enumerate(path.read_text().splitlines(), 1) if "100000" in text)
    settings = Settings("inline", results=str(tmp_path))
    with pytest.raises(FixSpec, match=rf"line {line}, phases\[0\].rows: 100000 rows are more than"):
        Search(str(path), settings=settings).fit()
