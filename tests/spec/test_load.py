"""From YAML to values: defaults, the grammar, the command line, the resolved text."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from toprung.core.errors import FixSpec
from toprung.spec.choices import Component
from toprung.spec.load import load_spec, parse_spec
from toprung.spec.spec import SearchSpec
from toprung.trial.space import Choice, Float, Int, Option, Space

SMALLEST = "task: single_label\ndata: {path: rows}\nspace: {backbone: minilm}\n"


def load(text: str, *overrides: str) -> SearchSpec:
    """The spec of a YAML text."""
    return parse_spec(text.encode(), path="search/try.yaml", overrides=overrides)


def with_space(text: str) -> Space:
    """The space of a spec with these lines in it."""
    return load("task: single_label\ndata: {path: rows}\nspace:\n" + text).space


def test_three_lines_make_a_search_with_every_default() -> None:
    spec = load(SMALLEST)
    assert (spec.name, spec.task, spec.metric.name) == ("try", "single_label", "macro_f1")
    assert spec.scheduler.name == "asha"
    assert spec.scheduler.options == {"reduction_factor": 3, "rule": "eager", "brackets": 1}
    assert (spec.searcher.name, spec.ensemble.name) == ("tpe", "greedy")
    assert [baseline.name for baseline in spec.baselines] == ["majority", "tfidf_logreg"]
    assert (spec.resource.unit, spec.resource.min, spec.resource.max) == ("examples", 512, 13824)
    assert (spec.trials, spec.minutes, spec.cpus, spec.gpus, spec.seed) == (24, None, 1, None, 0)
    assert (spec.precision, spec.cache_gib, spec.first) == ("auto", None, ())
    assert spec.cards["minilm"].layers == 6


def test_every_form_of_a_choice_means_the_same() -> None:
    spaces = [
        with_space(f"  backbone: minilm\n  loss: {loss}\n")
        for loss in (
            "[focal, cross_entropy]",
            "{focal: {}, cross_entropy: }",
            "[focal: {}, cross_entropy: {}]",
        )
    ]
    assert spaces[0] == spaces[1] == spaces[2]
    assert spaces[0].parameters["loss"] == Choice((Option("focal"), Option("cross_entropy")))


def test_a_scalar_a_list_and_an_interval_become_parameters() -> None:
    found = with_space(
        "  backbone: minilm\n  batch_size: [16, 32]\n"
        "  learning_rate: {float: [1e-5, 1], log: true}\n"
        "  max_length: {int: [16, 64], step: 16}\n  weight_decay: 0\n"
    ).parameters
    assert found["batch_size"] == Choice((Option(16), Option(32)))
    assert found["learning_rate"] == Float(1e-5, 1.0, log=True)
    assert found["max_length"] == Int(16, 64, step=16)
    assert found["weight_decay"] == Choice((Option(0.0),))


def test_options_exist_only_under_their_choice() -> None:
    space = with_space(
        "  backbone: {minilm: {depth: 2}}\n  adapter: {full: {}, lora: {rank: [4, 8]}}\n"
    )
    drawn = [space.sample(random.Random(seed)) for seed in range(20)]
    assert {
        ("adapter.lora.rank" in values) == (values["adapter"] == "lora") for values in drawn
    } == {True}
    assert {values["backbone.minilm.depth"] for values in drawn} == {2}


def test_combinations_are_counted_where_they_end() -> None:
    space = "space: {backbone: {minilm: {depth: [2, 4]}}, adapter: {full: {}, lora: {rank: [4, 8]}}"
    assert load(SMALLEST.replace("space: {backbone: minilm}", space + "}")).combinations == 6
    endless = space + ", learning_rate: {float: [0.1, 0.2]}}"
    assert load(SMALLEST.replace("space: {backbone: minilm}", endless)).combinations is None
    assert load(SMALLEST).combinations == 1


def test_the_command_line_wins() -> None:
    spec = load(
        SMALLEST + "scheduler: asha\nbudget: {trials: 9}\n",
        "budget.trials=4",
        "space.pooling=[cls, mean]",
        "scheduler.asha.rule=stop",
        "data.label=intent",
        "resource.max=4608",
        "first=[{pooling: cls}]",
        "first.0.pooling=mean",
    )
    assert (spec.trials, spec.data.label, spec.resource.max) == (4, "intent", 4608)
    assert spec.scheduler.options["rule"] == "stop"
    assert spec.first == ({"backbone": "minilm", "pooling": "mean"},)


def test_a_default_ensemble_is_no_larger_than_the_search() -> None:
    assert load(SMALLEST, "budget.trials=2").ensemble.options["members"] == 2


def test_baselines_can_be_left_out_or_set() -> None:
    assert load(SMALLEST, "baselines=[]").baselines == ()
    assert load(SMALLEST, "baselines=majority").baselines == (Component("majority", {}),)


def test_one_end_of_the_resource_gives_the_other() -> None:
    def ends(*overrides: str) -> tuple[str, int, int]:
        resource = load(SMALLEST, *overrides).resource
        return resource.unit, resource.min, resource.max

    assert ends("resource.min=100") == ("examples", 100, 2700)
    assert ends("resource.max=2700") == ("examples", 100, 2700)
    assert ends("resource.unit=epochs") == ("epochs", 1, 9)
    assert ends("scheduler=fifo", "resource.min=8", "resource.max=8") == ("examples", 8, 8)


def test_a_first_configuration_takes_the_types_of_the_space() -> None:
    text = SMALLEST.replace(
        "minilm}", "minilm, weight_decay: [0.0, 1.0], learning_rate: {float: [0, 5]}}"
    )
    text = text.replace("float: [0, 5]", "float: [0.5, 5]")
    (values,) = load(text, "first=[{weight_decay: 1, learning_rate: 2}]").first
    assert values == {"backbone": "minilm", "weight_decay": 1.0, "learning_rate": 2.0}
    assert {type(values["weight_decay"]), type(values["learning_rate"])} == {float}


def test_a_corpus_takes_options() -> None:
    text = SMALLEST.replace("{path: rows}", "{corpus: {tickets: {rows: 1000}}}")
    data = load(text).data
    assert (data.corpus, data.corpus_options["rows"]) == ("tickets", 1000)


def test_the_resolved_spec_loads_from_anywhere_to_an_equal_one(tmp_path: Path) -> None:
    (tmp_path / "search").mkdir()
    given = tmp_path / "search" / "mine.yaml"
    given.write_text(SMALLEST + "first: [{}]\n")
    spec = load_spec(given, ["data.label='1e-5'", "data.text='no'"])
    again = tmp_path / "spec.yaml"
    again.write_text(spec.resolved)
    loaded = load_spec(again)
    assert loaded == spec
    assert (loaded.name, loaded.data.label, loaded.data.text) == ("mine", "1e-5", "no")
    assert loaded.resolved == spec.resolved


def test_a_portable_spec_names_no_folder_of_this_machine() -> None:
    spec = load(SMALLEST)
    assert str(Path.cwd()) in spec.resolved
    assert str(Path.cwd()) not in spec.to_yaml(portable=True)


def test_a_file_name_that_is_no_folder_name_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "my search.yaml"
    path.write_text(SMALLEST)
    with pytest.raises(FixSpec, match="Write name: my-search"):
        load_spec(path)
    assert load_spec(path, ["name=mine"]).name == "mine"


def test_an_empty_file_is_told_what_to_hold(tmp_path: Path) -> None:
    for text in ("", "- a\n", "hello\n", "# only a comment\n"):
        with pytest.raises(FixSpec, match="Write at least task, data, space"):
            load(text)
