"""Every search of the catalogue loads, resolves and can begin."""

from __future__ import annotations

import shlex

import pytest

from toprung.core.catalogue import catalogue_names, find_catalogue_file
from toprung.spec.families import registry
from toprung.spec.load import load_spec, parse_spec
from toprung.spec.spec import SearchSpec
from toprung.trial.space import Choice

NAMES = catalogue_names("search")


def values(spec: SearchSpec, name: str) -> list[object]:
    """The values of a choice anywhere in a space."""
    parameter = dict(spec.space.walk())[name]
    return list(parameter.values) if isinstance(parameter, Choice) else list(parameter.grid(3))


def test_the_catalogue_holds_the_promised_searches() -> None:
    assert {"quickstart", "intents", "sentiment", "summaries"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_the_first_line_is_the_command_that_runs_it(name: str) -> None:
    path = find_catalogue_file("search", name)
    assert path is not None
    first = path.read_text(encoding="utf-8").splitlines()[0]
    command = shlex.split(first.removeprefix("# "))
    assert command[:3] == ["toprung", "search", name]
    assert load_spec(command[2], command[3:]).name == name


@pytest.mark.parametrize("name", NAMES)
def test_it_resolves_to_an_equal_search(name: str) -> None:
    spec = load_spec(name)
    assert parse_spec(spec.resolved.encode(), path="spec.yaml") == spec


@pytest.mark.parametrize("name", NAMES)
def test_its_searcher_suggests_configurations_of_its_space(name: str) -> None:
    spec = load_spec(name)
    searcher = registry("searcher").get(spec.searcher.name)(**spec.searcher.options)
    searcher.prepare(spec.space, spec.seed, spec.first)
    for number in range(1, len(spec.first) + 4):
        assert spec.space.problems(searcher.suggest(number)) == []


@pytest.mark.parametrize("name", ["intents", "sentiment"])
def test_a_search_on_real_data_covers_what_it_promises(name: str) -> None:
    spec = load_spec(name, ["data.path=somewhere"])
    assert spec.trials >= 24
    assert spec.data.path == "somewhere"
    assert len(values(spec, "backbone.minilm.depth")) >= 2
    assert len(values(spec, "adapter.lora.rank")) >= 2
    assert len(values(spec, "loss")) >= 2
    assert len(values(spec, "pooling")) >= 4


def test_the_quickstart_needs_no_data_and_no_network() -> None:
    spec = load_spec("quickstart")
    assert spec.data.corpus == "tickets"
    assert [card.kind for card in spec.cards.values()] == ["package"]


def test_a_path_wins_over_the_catalogue_and_odd_names_find_nothing() -> None:
    odd = ["../search/quickstart", "search/", "", "quickstart.yml", "a" * 5000, "\0", "x\0/y"]
    for name in odd:
        assert find_catalogue_file("search", name) is None
    assert find_catalogue_file("search", "search/nosuch.yaml") is None
    path = find_catalogue_file("search", "quickstart")
    assert path is not None
    assert find_catalogue_file("search", str(path)) == path
