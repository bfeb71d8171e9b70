"""A forecast of a tiny search: made, kept, taken into the journal, and scored."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from toprung.api import Search
from toprung.api.courses import whole_course
from toprung.api.estimating import estimate
from toprung.api.machines import other_machine
from toprung.api.opening import Settings
from toprung.api.pricing import Prices
from toprung.api.shapes import shape_of
from toprung.api.simulating import SIMULATIONS, simulate
from toprung.cli.main import app
from toprung.core.errors import FixSpec
from toprung.data.load import load_dataset
from toprung.judge.forecast import Forecast
from toprung.learn.backbone.card import find_card
from toprung.learn.paces import Pace
from toprung.spec.load import load_spec
from toprung.spec.spec import SearchSpec
from toprung.trial.config import Resource, TrialConfig


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory, write_spec: Callable[..., Path]) -> SearchSpec:
    root = tmp_path_factory.mktemp("estimate")
    plan = [{"rows": 96, "trials": 2, "epochs": 1}, {"rows": 192, "best": 1, "epochs": 1}]
    return load_spec(write_spec(root, name="guess", phases=plan, baselines=["majority"]))


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("results")


@pytest.fixture(scope="module")
def forecast(spec: SearchSpec, results: Path) -> Forecast:
    torch.set_num_threads(1)
    return estimate(spec, Settings("inline", results=str(results)))


def test_it_tells_time_memory_and_disk_with_a_range_for_each_rung_and_phase(
    forecast: Forecast,
) -> None:
    assert len(forecast.until) == 2
    for found in (*forecast.until, forecast.seconds, forecast.memory_bytes, forecast.disk_bytes):
        assert 0 < found.low < found.middle < found.high
    assert forecast.until[0].middle < forecast.until[1].middle <= forecast.seconds.middle
    assert {rung.phase for rung in forecast.rungs} == {1, 2}
    assert max(rung.resource for rung in forecast.rungs) == 192
    assert forecast.measured
    assert min(forecast.measured.values()) > 0


def test_a_search_knows_which_configurations_are_dear(spec: SearchSpec) -> None:
    """Layers that are trained cost, and their width; frozen ones are computed once."""
    cost = whole_course(replace(spec, cards={"bert_base": find_card("bert_base")})).searcher.cost
    assert cost is not None
    lora = {"adapter": "lora", "adapter.lora.layers": "all", "max_length": 64}
    ascending = [
        {"backbone": "minilm", "adapter": "frozen", "max_length": 64},
        {"backbone": "minilm", **lora, "adapter.lora.layers": "top_third"},
        {"backbone": "minilm", **lora, "adapter.lora.layers": "top_half"},
        {"backbone": "minilm", **lora, "backbone.minilm.depth": 4},
        {"backbone": "minilm", **lora},
        {"backbone": "minilm", "adapter": "full", "max_length": 64},
        {"backbone": "minilm", **lora, "max_length": 128},
        {"backbone": "bert_base", **lora},
    ]
    costs = [cost(values) for values in ascending]
    assert costs == sorted(set(costs))


def test_frozen_layers_cost_where_what_they_make_is_not_kept(spec: SearchSpec) -> None:
    frozen = {"backbone": "minilm", "adapter": "frozen", "max_length": 64}
    cost, anew = (whole_course(one).searcher.cost for one in (spec, replace(spec, cache_gib=0)))
    assert cost is not None
    assert anew is not None
    changed = {**frozen, "augmenter": "delete"}
    assert cost(frozen) < cost(changed) == anew(frozen)
    full = {**frozen, "adapter": "full"}
    assert anew(frozen) < cost(full) == anew(full)


def test_a_shape_that_was_not_timed_is_priced_by_the_most_alike_of_its_adapter(
    spec: SearchSpec,
) -> None:
    pace = Pace(1.0, 0.01, 0.02, 0.005, 0.5, 10, 2.0, 1 << 30, 0.1)
    deep = {"backbone": "minilm", "backbone.minilm.depth": 6, "max_length": 64}
    frozen, full = ({**deep, "adapter": adapter} for adapter in ("frozen", "full"))
    known = {shape_of(frozen): replace(pace, train_seconds=1e-4), shape_of(full): pace}
    prices = Prices(known, load_dataset(spec.data, spec.seed), {})
    shallow = {**full, "backbone.minilm.depth": 2, "max_length": 32}
    found = prices.pace(shallow)
    half = (2 + 0.5) / (6 + 0.5) / 2
    assert found.train_seconds == pytest.approx(half * pace.train_seconds)
    assert found.score_seconds == pytest.approx(half * pace.score_seconds)
    assert (found.start_seconds, found.save_seconds) == (1.0, 0.5)
    other = prices.pace({**deep, "adapter": "lora", "adapter.lora.layers": "all"})
    assert (other.start_seconds, other.score_seconds) == (1.0, 0.005)


FROZEN = {"backbone": "minilm", "backbone.minilm.depth": 6, "adapter": "frozen", "max_length": 64}


def prices_of(spec: SearchSpec, pace: Pace) -> Prices:
    data = load_dataset(spec.data, spec.seed)
    return Prices({shape_of(FROZEN): pace}, data, {})


def test_a_trial_pays_for_what_of_the_cache_is_missing_and_only_once_it_gets_there(
    spec: SearchSpec,
) -> None:
    pace = Pace(0.0, 0.0, 1.0, 0.0, 0.0, 10, 2.0, 1 << 30, 0.1, block_rows=4.0)
    prices = prices_of(spec, pace)
    train = len(prices.data.splits["train"])
    quarter = train // 4
    resource = Resource("examples", quarter, 2 * train, (quarter, train, 2 * train))
    trial = TrialConfig("t0001", FROZEN, 0)

    def cost(start: int, upto: int) -> float:
        """Of the legs to a point; those behind it are not asked for."""
        legs = prices.legs(trial, resource, None, start)
        return sum(next(legs)[1] for point in resource.points if start < point <= upto)

    first = cost(0, quarter)
    ((kept, held),) = prices.cached.values()
    # A block of four is missing unless none of its rows was among the quarter.
    assert kept == pytest.approx(train * (1 - (1 - quarter / train) ** 4))
    assert held > 0
    assert first == pytest.approx(kept + held)
    # Another trial's quarter is another one, of which as large a part is missing.
    assert cost(0, quarter) == pytest.approx(kept * (1 - kept / train))
    ((both, _),) = prices.cached.values()
    assert cost(quarter, train) == pytest.approx(train - both)
    assert cost(0, train) == 0.0
    # At the end more held-out rows are scored than before.
    assert 0 < cost(train, 2 * train) == prices.cached.popitem()[1][1] - held


def test_no_time_of_a_simulated_search_runs_backwards(spec: SearchSpec) -> None:
    """Trials that pause go on when others have filled the cache, which costs them less."""
    pace = Pace(0.5, 1e-4, 0.1, 1e-4, 0.1, 10, 2.0, 1 << 30, 0.1, block_rows=4.0)
    prices = prices_of(spec, pace)
    points = (12, 24, 48, 96)
    whole = replace(spec, trials=8, phases=(), resource=Resource("examples", 12, 96, points))
    history = simulate(whole, 2, prices.legs, 0).history
    assert any(len(record.reports) > 1 for record in history.trials.values())
    for record in history.trials.values():
        seconds = [report.seconds for report in record.reports]
        assert seconds == sorted(seconds)
        assert all(b - a >= 0.1 for a, b in pairwise(seconds))


def test_a_plan_whose_budget_is_spent_early_is_told_until_there(
    spec: SearchSpec, tmp_path: Path
) -> None:
    path = tmp_path / "short.yaml"
    path.write_text(spec.to_yaml(), encoding="utf-8")
    command = ["estimate", str(path), "budget={minutes: 0.001}", "--runner", "inline"]
    done = CliRunner().invoke(app, [*command, "--results", str(tmp_path)])
    assert done.exit_code == 0, done.output
    found = " ".join(done.output.split())
    assert "until the end of phase 1" in found
    assert "until the end of phase 2" not in found
    assert "the budget is spent before phase 2 ends" in found


def test_the_search_takes_the_forecast_into_its_journal_and_the_report_scores_it(
    spec: SearchSpec, results: Path, forecast: Forecast
) -> None:
    search = Search(spec, settings=Settings("inline", results=str(results))).fit()
    said = search.history().forecast
    assert said is not None
    assert said["seconds"] == json.loads(json.dumps(forecast.to_json()))["seconds"]
    section = search.folder.report.read_text().partition("## Forecast")[2]
    assert "until the end of phase 2" in section
    assert "in all" in section


def test_a_forecast_of_another_spec_is_not_taken(
    spec: SearchSpec, results: Path, forecast: Forecast, tmp_path: Path
) -> None:
    other = load_spec(results / "guess" / "spec.yaml", ["seed=99"])
    search = Search(other, settings=Settings("virtual", results=str(tmp_path)))
    search.folder.root.mkdir(parents=True)
    search.folder.forecast.write_text((results / "guess" / "forecast.json").read_text())
    assert search.fit().history().forecast is None


def test_simulations_go_from_scores_by_chance_to_scores_by_cost(spec: SearchSpec) -> None:
    """As on real data; scores that know nothing of costs promise searches that end too early."""
    points = (8, 16, 32, 64, 128)
    whole = replace(spec, trials=60, phases=(), resource=Resource("examples", 8, 128, points))

    def cost(
        config: TrialConfig, resource: Resource, rows: object, start: int
    ) -> Iterator[tuple[int, float]]:
        each = 1.0 if config.values["adapter"] == "lora" else 0.01
        return ((point, each * point) for point in resource.points if point > start)

    dear = []
    for number in range(SIMULATIONS):
        trials = simulate(whole, 2, cost, number).history.trials.values()
        done = [t.config.values["adapter"] == "lora" for t in trials if t.state == "completed"]
        dear.append(sum(done) / len(done))
    assert min(dear) < 0.5
    assert dear[-2:] == [1.0, 1.0]


def test_more_trials_at_a_time_take_less_time(spec: SearchSpec) -> None:
    def cost(
        config: object, resource: Resource, rows: object, start: int
    ) -> Iterator[tuple[int, float]]:
        return ((point, float(point)) for point in resource.points if point > start)

    ends = [simulate(spec, slots, cost, 0).end for slots in (1, 4)]
    assert ends[1] < ends[0]


def test_another_machine_is_a_number_of_cores_or_what_a_search_left_there(tmp_path: Path) -> None:
    assert other_machine("16", 1.0).cpus == 16
    file = tmp_path / "environment.json"
    file.write_text(json.dumps({"cpus": 8, "memory_gib": 32.0}))
    slow = {"seq": 1, "epoch": 1, "at": 0.0, "time": "", "kind": "precision"}
    slow |= {"precision": "float32", "float32_ms": 6.0}
    (tmp_path / "journal.jsonl").write_text(json.dumps(slow) + "\n")
    found = other_machine(str(file), 3.0)
    assert (found.cpus, found.slowness, found.memory_bytes) == (8, 2.0, 32 * 2**30)
    assert found.uncertainty < other_machine("8", 3.0).uncertainty
    assert found.gpus == 0
    # What a CPU takes says nothing of a machine that trained on its cards.
    slow |= {"device": "NVIDIA H100"}
    (tmp_path / "journal.jsonl").write_text(json.dumps(slow) + "\n")
    file.write_text(json.dumps({"cpus": 8, "memory_gib": 32.0, "gpus": 4}))
    cards = other_machine(str(file), 3.0)
    assert (cards.gpus, cards.slowness, cards.slots(2, None)) == (4, 1.0, 4)
    assert other_machine(str(file), 3.0, "NVIDIA A100").slowness == 2.0
    with pytest.raises(FixSpec, match="neither a number of cores nor"):
        other_machine("a fast one", 1.0)
