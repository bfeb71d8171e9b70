"""Every way to get a spec wrong is told with its line, the value and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from toprung.core.errors import FixSpec
from toprung.spec.load import load_spec, parse_spec

GOOD = """\
task: single_label
data: {path: rows}
space:
  backbone: {minilm: {depth: [2, 4, 6]}}
  adapter:
    full: {}
    lora: {rank: {int: [4, 64], log: true}}
  pooling: [cls, mean]
  loss: {cross_entropy: {smoothing: 0.1}, focal: {gamma: {float: [1, 3]}}}
  learning_rate: {float: [1e-5, 5e-3], log: true}
  batch_size: 32
  max_length: 64
metric: macro_f1
scheduler: {asha: {reduction_factor: 3}}
searcher: tpe
resource: {unit: examples, min: 512, max: 4608}
budget: {trials: 12, minutes: 30}
trial: {cpus: 1, gpus: 0}
ensemble: {greedy: {members: 3}}
seed: 7
"""

# what is replaced, by what, the line of the problem, its place, words that its text must hold
BROKEN = {
    "unknown pooling": (
        "[cls, mean]",
        "[cls, mena]",
        (8, "space.pooling[1]"),
        ["'mena'", "Did you mean 'mean'?", "Known: attention, cls, max, mean, mean_max"],
    ),
    "unknown metric": (
        "macro_f1",
        "macro_f2",
        (13, "metric"),
        ["'macro_f2'", "Did you mean 'macro_f1'?", "log_loss"],
    ),
    "unknown task": (
        "single_label",
        "single",
        (1, "task"),
        ["'single'", "Known: ", "single_label"],
    ),
    "unknown top-level key": (
        "budget:",
        "buget:",
        (17, "buget"),
        ["'buget'", "Did you mean 'budget'?", "Known: name, task"],
    ),
    "unknown space key": (
        "learning_rate:",
        "lerning_rate:",
        (10, "space.lerning_rate"),
        ["'lerning_rate'", "Did you mean 'learning_rate'?", "Known: backbone"],
    ),
    "unknown budget key": (
        "trials: 12",
        "trails: 12",
        (17, "budget.trails"),
        ["'trails'", "Did you mean 'trials'?", "Known: trials, minutes"],
    ),
    "unknown option of a component": (
        "rank:",
        "rnak:",
        (7, "space.adapter.lora.rnak"),
        ["'lora' has no option 'rnak'", "Did you mean 'rank'?", "alpha"],
    ),
    "option of a component without options": (
        "full: {}",
        "full: {depth: 2}",
        (6, "space.adapter.full.depth"),
        ["'full' has no option 'depth'", "leave it out"],
    ),
    "unknown backbone": (
        "{minilm: {depth: [2, 4, 6]}}",
        "minilmm",
        (4, "space.backbone"),
        ["minilmm", "'minilm'", "bert_base"],
    ),
    "depth beyond the card": (
        "[2, 4, 6]",
        "[2, 4, 12]",
        (4, "space.backbone.minilm.depth[2]"),
        ["12 is not", "at least 1 and at most 6", "For example: 6"],
    ),
    "length beyond the card": (
        "max_length: 64",
        "max_length: 1024",
        (12, "space.max_length"),
        ["1024", "512", "'minilm'", "Lower it"],
    ),
    "rank of nothing": (
        "[4, 64]",
        "[0, 64]",
        (7, "space.adapter.lora.rank.int[0]"),
        ["0 is not", "at least 1"],
    ),
    "swapped bounds": (
        "[4, 64]",
        "[64, 4]",
        (7, "space.adapter.lora.rank.int"),
        ["64 is above 4", "Write [4, 64]"],
    ),
    "equal bounds": (
        "[4, 64]",
        "[8, 8]",
        (7, "space.adapter.lora.rank.int"),
        ["both bounds are 8", "Write the value alone"],
    ),
    "three bounds": (
        "[4, 64]",
        "[4, 8, 64]",
        (7, "space.adapter.lora.rank.int"),
        ["a list of 3", "Write {int: [low, high]}"],
    ),
    "logarithm of zero": (
        "{gamma: {float: [1, 3]}}",
        "{gamma: {float: [0, 3], log: true}}",
        (9, "space.loss.focal.gamma.float"),
        ["above 0, not 0", "Raise it, or leave log out"],
    ),
    "float where a whole number is needed": (
        "{int: [4, 64], log: true}",
        "{float: [4, 64]}",
        (7, "space.adapter.lora.rank"),
        ["whole number", "Write {int: [low, high]}"],
    ),
    "misspelt interval": (
        "{int: [4, 64], log: true}",
        "{itn: [4, 64]}",
        (7, "space.adapter.lora.rank.itn"),
        ["'itn'", "Did you mean 'int'?"],
    ),
    "empty choice of names": (
        "[cls, mean]",
        "[]",
        (8, "space.pooling"),
        ["an empty choice", "Write at least one pooling", "attention"],
    ),
    "empty choice of values": (
        "[2, 4, 6]",
        "[]",
        (4, "space.backbone.minilm.depth"),
        ["an empty choice", "Write at least one value", "at most 6"],
    ),
    "a name twice": ("[cls, mean]", "[cls, cls]", (8, "space.pooling[1]"), ["'cls'", "twice"]),
    "a learning rate that is text": (
        "{float: [1e-5, 5e-3], log: true}",
        "'1e-5'",
        (10, "space.learning_rate"),
        ["'1e-5' is not a number above 0", "without quotes"],
    ),
    "a learning rate in words": (
        "{float: [1e-5, 5e-3], log: true}",
        "fast",
        (10, "space.learning_rate"),
        ["'fast' is not a number above 0", "Choose such a value"],
    ),
    "smoothing of one": (
        "smoothing: 0.1",
        "smoothing: 1.0",
        (9, "space.loss.cross_entropy.smoothing"),
        ["1.0 is not", "at least 0 and below 1", "For example: 0.0"],
    ),
    "a choice of words with a wrong one": (
        "{rank: {int: [4, 64], log: true}}",
        "{layers: [all, top_haf]}",
        (7, "space.adapter.lora.layers[1]"),
        ["'top_haf'", "Did you mean 'top_half'?", "top_third"],
    ),
    "options that are no mapping": (
        "full: {}",
        "full: 3",
        (6, "space.adapter.full"),
        ["3 is not a mapping", "Write full: {option: value}"],
    ),
    "impossible rungs": (
        "min: 512, max: 4608",
        "min: 256, max: 300",
        (16, "resource.max"),
        ["300 is below resource.min × reduction_factor = 768", "no rung", "Raise max"],
    ),
    "min and max swapped": (
        "min: 512, max: 4608",
        "min: 4608, max: 512",
        (16, "resource.max"),
        ["512 is below min 4608", "Swap them: min: 512, max: 4608"],
    ),
    "unknown unit": (
        "unit: examples",
        "unit: steps",
        (16, "resource.unit"),
        ["'steps'", "one of examples, epochs"],
    ),
    "reduction factor of one": (
        "reduction_factor: 3",
        "reduction_factor: 1",
        (14, "scheduler.asha.reduction_factor"),
        ["1 is not", "at least 2", "For example: 3"],
    ),
    "two schedulers": (
        "{asha: {reduction_factor: 3}}",
        "[asha, fifo]",
        (14, "scheduler"),
        ["one scheduler", "Keep one"],
    ),
    "more brackets than rungs": (
        "{reduction_factor: 3}",
        "{brackets: 9}",
        (14, "scheduler"),
        ["brackets", "9"],
    ),
    "a searched option of the searcher": (
        "searcher: tpe",
        "searcher: {tpe: {startup: [1, 2]}}",
        (15, "searcher.tpe.startup"),
        ["a list of 2", "Write one value"],
    ),
    "the component's own refusal": (
        "searcher: tpe",
        "searcher: {tpe: {startup: -1}}",
        (15, "searcher.tpe"),
        ["-1", "below 0", "Change it"],
    ),
    "no trials": ("trials: 12", "trials: 0", (17, "budget.trials"), ["0 is not", "at least 1"]),
    "trials in words": (
        "trials: 12",
        "trials: twelve",
        (17, "budget.trials"),
        ["'twelve' is not a whole number", "For example: 24"],
    ),
    "no time": ("minutes: 30", "minutes: 0", (17, "budget.minutes"), ["0 is not", "above 0"]),
    "no processors": ("cpus: 1", "cpus: 0", (18, "trial.cpus"), ["0 is not", "at least 1"]),
    "half a processor": ("cpus: 1", "cpus: 0.5", (18, "trial.cpus"), ["0.5", "whole number"]),
    "less than no graphics card": ("gpus: 0", "gpus: -1", (18, "trial.gpus"), ["-1", "at least 0"]),
    "more members than trials": (
        "members: 3",
        "members: 30",
        (19, "ensemble.greedy.members"),
        ["30 members", "12 trials", "Lower members, or raise budget.trials"],
    ),
    "a seed that is true": ("seed: 7", "seed: true", (20, "seed"), ["true is not", "whole number"]),
    "no data": ("{path: rows}", "{text: body}", (2, "data"), ["train, path and corpus"]),
    "two sources of data": (
        "{path: rows}",
        "{path: rows, train: a.csv}",
        (2, "data.path"),
        ["exactly one of train, path and corpus"],
    ),
    "text is the label": (
        "{path: rows}",
        "{path: rows, label: text}",
        (2, "data.label"),
        ["'text' is the text column too", "Name the column"],
    ),
    "no rows of train": (
        "{path: rows}",
        "{path: rows, train_rows: 0}",
        (2, "data.train_rows"),
        ["0 is not 1 or more"],
    ),
    "unknown corpus": (
        "{path: rows}",
        "{corpus: tikets}",
        (2, "data.corpus"),
        ["no corpus 'tikets'", "Known: "],
    ),
    "data that is a word": (
        "{path: rows}",
        "rows",
        (2, "data"),
        ["'rows' is not a mapping", "Write"],
    ),
    "a first configuration outside of the space": (
        "seed: 7",
        "first:\n  - {backbone: {minilm: {depth: 3}}, adapter: full, pooling: mean,"
        " loss: {focal: {gamma: 2}}, learning_rate: 1e-3}",
        (21, "first[0].backbone.minilm.depth"),
        ["3 is not one of 2, 4, 6", "Choose from the space"],
    ),
    "a first configuration that lacks a value": (
        "seed: 7",
        "first:\n  - {backbone: {minilm: {depth: 2}}, adapter: full,"
        " loss: {focal: {gamma: 2}}, learning_rate: 1e-3}",
        (21, "first[0].pooling"),
        ["missing", "one of cls, mean"],
    ),
    "a first configuration with a stranger": (
        "seed: 7",
        "first:\n  - {backbone: {minilm: {depth: 2}}, adapter: full, poling: mean,"
        " pooling: cls, loss: {focal: {gamma: 2}}, learning_rate: 1e-3}",
        (21, "first[0].poling"),
        ["no such parameter", "Did you mean 'pooling'?"],
    ),
    "a name that leaves the folder": (
        "seed: 7",
        "name: ../../etc",
        (20, "name"),
        ["'../../etc'", "letters", "Write name: etc"],
    ),
    "a repeated key": (
        "seed: 7",
        "metric: accuracy",
        (20, "metric"),
        ["'metric' is repeated", "first in line 13", "keep one"],
    ),
    "a tag that would run code": (
        "seed: 7",
        "seed: !!python/object/apply:os.system [ls]",
        (20, "seed"),
        ["python/object/apply:os.system", "refused", "plain value"],
    ),
}


def problems_of(text: str, overrides: list[str] | None = None) -> list[tuple[int | None, str, str]]:
    """Line, place and text of each problem of a spec; fails where it has none."""
    with pytest.raises(FixSpec) as caught:
        parse_spec(text.encode(), path="search/try.yaml", overrides=overrides or [])
    assert caught.value.exit_code == 2
    return [(problem.line, problem.where, problem.text) for problem in caught.value.problems]


def test_the_spec_that_all_of_these_break_is_good() -> None:
    assert parse_spec(GOOD.encode(), path="try.yaml").trials == 12


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_spec_is_told_with_line_value_and_next_step(name: str) -> None:
    old, new, (line, place), words = BROKEN[name]
    assert GOOD.count(old) == 1
    found = problems_of(GOOD.replace(old, new))
    assert [(where, at) for at, where, _ in found if where == place] == [(place, line)], found
    text = next(text for _, where, text in found if where == place)
    assert [word for word in words if word not in text] == [], text
    assert len(found) <= 2, found


@pytest.mark.parametrize("key", ["task", "data", "space"])
def test_a_missing_section_is_told_with_an_example(key: str) -> None:
    lines = GOOD.splitlines(keepends=True)
    start = next(i for i, line in enumerate(lines) if line.startswith(f"{key}:"))
    end = next(i for i in range(start + 1, len(lines)) if not lines[i].startswith(" "))
    found = problems_of("".join(lines[:start] + lines[end:]))
    assert [place for _, place, _ in found] == [key]
    assert f"Write for example {key}: " in found[0][2]


def test_a_space_without_a_backbone_names_the_known_ones() -> None:
    found = problems_of(GOOD.replace("  backbone: {minilm: {depth: [2, 4, 6]}}\n", ""))
    assert found == [(3, "space", found[0][2])]
    assert "no backbone" in found[0][2]
    assert "minilm" in found[0][2]


def test_lora_on_a_backbone_without_targets_is_refused(tmp_path: Path) -> None:
    card = "layers: 2\nhidden: 8\nheads: 2\nparameters: 99\nmax_length: 64\nlayers_path: layers\n"
    (tmp_path / "bare.yaml").write_text("source: org/bare\n" + card)
    spec = tmp_path / "try.yaml"
    spec.write_text(GOOD.replace("{minilm: {depth: [2, 4, 6]}}", "bare.yaml"))
    with pytest.raises(FixSpec) as caught:
        load_spec(spec)
    (problem,) = caught.value.problems
    assert (problem.line, problem.where) == (5, "space.adapter")
    assert "'lora' does not fit backbone 'bare.yaml'" in problem.text
    assert "Use full, or add them to the card" in problem.text


def test_all_problems_are_told_at_once_in_the_order_of_their_lines() -> None:
    text = GOOD.replace("[cls, mean]", "[cls, mena]").replace("max: 4608", "max: 700")
    text = text.replace("macro_f1", "f1").replace("cpus: 1", "cpus: 0").replace("seed: 7", "sed: 7")
    found = problems_of(text)
    assert [line for line, _, _ in found] == [8, 13, 16, 18, 20]
    assert len({place for _, place, _ in found}) == 5


def test_the_message_reads_as_a_list_of_places() -> None:
    with pytest.raises(FixSpec) as caught:
        parse_spec(GOOD.replace("[cls, mean]", "[mena]").encode(), path="search/try.yaml")
    assert str(caught.value) == (
        "search/try.yaml has 1 problem:\n"
        "  line 8, space.pooling[0]: no pooling 'mena'. "
        "Did you mean 'mean'? Known: attention, cls, max, mean, mean_max."
    )


def test_a_value_of_the_command_line_is_told_as_such() -> None:
    found = problems_of(GOOD, ["budget.trials=none", "space.pooling=[mean, mena]", "oops"])
    assert [(line, place) for line, place, _ in found] == [
        (None, "command line"),
        (None, "command line: space.pooling[1]"),
        (None, "command line: budget.trials"),
    ]
    assert "'oops' is not key=value" in found[0][2]


def test_a_long_value_is_cut_in_the_message() -> None:
    (problem,) = problems_of(GOOD.replace("macro_f1", "x" * 5000))
    assert len(problem[2]) < 400


@pytest.mark.parametrize("name", ["nosuch", "nosuch.yaml", "quikstart", "..", "", "~a/b.yaml"])
def test_a_search_that_does_not_exist_names_the_known_ones(name: str) -> None:
    with pytest.raises(FixSpec) as caught:
        load_spec(name)
    assert "Known: " in str(caught.value)
    assert "quickstart" in str(caught.value)


@pytest.mark.parametrize(
    ("options", "refused"),
    [
        ("width: {int: [32, 64]}", "4 heads do not divide a width of 33"),
        ("width: [60, 64], heads: [4, 12]", "12 heads do not divide a width of 64"),
        ("width: {int: [32, 64], step: 4}", ""),
        ("width: [48, 96], heads: [4, 12]", ""),
    ],
)
def test_options_that_do_not_fit_each_other_are_found_before_a_trial_does(
    options: str, refused: str
) -> None:
    text = (
        f"task: series\ndata: {{path: rows}}\nspace: {{backbone: {{transformer: {{{options}}}}}}}\n"
    )
    if not refused:
        parse_spec(text.encode(), path="try.yaml")
        return
    with pytest.raises(FixSpec) as raised:
        parse_spec(text.encode(), path="try.yaml")
    (problem,) = raised.value.problems
    assert (problem.line, problem.where) == (3, "space.backbone.transformer")
    assert problem.text == f"{refused}. Give values that all fit each other."
