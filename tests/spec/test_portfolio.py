"""The configurations that are shipped to begin a search with fit every space, or stay away."""

from __future__ import annotations

import pytest

from toprung.core.catalogue import catalogue_names
from toprung.core.errors import FixSpec
from toprung.spec.load import load_spec, parse_spec
from toprung.spec.spec import SearchSpec

BEGINNING = "task: single_label\ndata: {path: rows}\nfirst: portfolio\nspace:\n  backbone: minilm\n"


def load(space: str, *overrides: str) -> SearchSpec:
    return parse_spec((BEGINNING + space).encode(), path="search/try.yaml", overrides=overrides)


@pytest.mark.parametrize("name", catalogue_names("search"))
def test_every_search_of_the_catalogue_can_begin_with_the_portfolio(name: str) -> None:
    spec = load_spec(name, ["first=portfolio"])
    assert 3 <= len(spec.first) <= spec.trials
    assert [problem for values in spec.first for problem in spec.space.problems(values)] == []
    assert parse_spec(spec.resolved.encode(), path="spec.yaml") == spec


def test_an_adapter_that_the_space_lacks_leaves_its_configurations_out() -> None:
    lora = load("  adapter: [lora, full]\n  learning_rate: {float: [1e-4, 1e-2]}\n").first
    assert lora
    assert {values["adapter"] for values in lora} == {"lora"}
    assert load("  adapter: full\n").first == ()


def test_a_number_outside_of_the_bounds_moves_to_the_nearest_inside() -> None:
    found = load(
        "  adapter: {lora: {rank: [1, 2]}}\n  learning_rate: {float: [1.0, 2.0]}\n"
        "  batch_size: {int: [3, 5], step: 2}\n  weight_decay: {float: [0.0, 0.3]}\n"
    ).first
    assert found == (
        {
            "backbone": "minilm",
            "adapter": "lora",
            "adapter.lora.rank": 2,
            "learning_rate": 1.0,
            "batch_size": 5,
            "weight_decay": 0.01,
        },
    )


def test_no_more_configurations_come_than_there_are_trials() -> None:
    assert len(load("  learning_rate: {float: [1e-4, 1e-2]}\n", "budget.trials=2").first) == 2


def test_another_word_than_portfolio_is_a_problem() -> None:
    with pytest.raises(FixSpec, match="Did you mean 'portfolio'"):
        load("  adapter: lora\n", "first=portfolo")
