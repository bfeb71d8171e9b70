"""A search over models that write, on the real path, from spec to summaries."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForSeq2SeqLM
from typer.testing import CliRunner

from toprung.api import Search
from toprung.api.opening import Settings
from toprung.api.pricing import Prices
from toprung.api.shapes import shape_of
from toprung.api.timing import sample_plan
from toprung.cli.main import app
from toprung.core.errors import FixData, FixSpec
from toprung.data.load import load_dataset
from toprung.learn.device import Measured
from toprung.learn.paces import measure_paces
from toprung.spec.load import load_spec
from toprung.trial.config import Resource, TrialConfig
from toprung.trial.journal import read_events

SPACE: dict[str, Any] = {
    "backbone": {"minilm2minilm": {"depth": 1}},
    "adapter": {"frozen": {}, "lora": {"rank": 2}},
    "learning_rate": {"float": [1e-3, 3e-3], "log": True},
    "warmup_steps": 2,
    "batch_size": 8,
    "beams": 2,
    "max_length": 40,
    "max_target_length": 14,
}


@pytest.fixture(scope="module")
def spec(
    tmp_path_factory: pytest.TempPathFactory,
    write_spec: Callable[..., Path],
    write_dialogues: Callable[..., Path],
) -> Path:
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("summaries")
    return write_spec(
        root,
        name="short",
        task="summarization",
        data={"path": str(write_dialogues(root / "data"))},
        space=SPACE,
        metric="rouge1",
        budget={"trials": 2},
        resource={"unit": "examples", "min": 32, "max": 64},
        ensemble={"mbr": {"members": 2, "candidates": 2}},
    )


@pytest.fixture(scope="module")
def finished(spec: Path, tmp_path_factory: pytest.TempPathFactory) -> Search:
    results = str(tmp_path_factory.mktemp("results"))
    return Search(str(spec), settings=Settings(runner="inline", results=results)).fit()


def test_metrics_are_rouge_of_everyone_on_the_test_split(finished: Search) -> None:
    with finished.folder.metrics.open(encoding="utf-8", newline="") as file:
        found = {row["who"]: row for row in csv.DictReader(file)}
    assert found.keys() == {"ensemble", "best_trial", "lead", "longest_turns"}
    assert list(found["ensemble"]) == ["who", "rouge1", "rouge2", "rougeL", "rougeLsum"]
    said = json.loads((finished.folder.ensemble / "ensemble.json").read_text())
    assert said["test"]["opened"] == 1
    assert "calibration" not in said


def test_the_test_split_is_opened_once_and_at_the_end(finished: Search) -> None:
    kinds = [event["kind"] for event in read_events(finished.folder.journal)]
    assert kinds.count("test_opened") == 1
    assert "reported" not in kinds[kinds.index("test_opened") :]


def test_the_report_shows_escaped_examples_and_nothing_about_classes(finished: Search) -> None:
    report = finished.folder.report.read_text(encoding="utf-8")
    assert "### Examples" in report
    assert report.count("**answer: ") == 3
    assert "<b>" not in report.replace("\\<b\\>", "")
    for absent in ("Confusion", "### Classes", "Temperature", "nan", "0 classes"):
        assert absent not in report
    assert finished.report() == report


def test_the_ensemble_answers_texts_and_has_no_probabilities(finished: Search) -> None:
    rows = ["Ann: Hi Bob!\nBob: I need tea.", "x"]
    found = finished.predict(rows)
    assert len(found) == 2
    assert all(isinstance(text, str) for text in found)
    assert found == finished.predict(rows)
    with pytest.raises(TypeError, match="no probabilities"):
        finished.predict_proba(rows)


def test_the_command_line_adds_a_summary(finished: Search, tmp_path: Path) -> None:
    path, name = tmp_path / "rows.jsonl", str(finished.folder.root)
    path.write_text(json.dumps({"id": 3, "dialogue": "Ann: Hi!\nBob: Bye."}) + "\n")
    done = CliRunner().invoke(app, ["predict", name, str(path)])
    assert done.exit_code == 0, done.output
    row = json.loads(done.output.splitlines()[-1])
    assert list(row) == ["id", "dialogue", "summary"]
    path.write_text(json.dumps({"dialogue": "  "}) + "\n")
    done = CliRunner().invoke(app, ["predict", name, str(path)])
    assert isinstance(done.exception, FixData)
    assert "nothing to sum up" in str(done.exception)
    path.write_text(json.dumps({"text": "a"}) + "\n")
    done = CliRunner().invoke(app, ["predict", name, str(path)])
    assert isinstance(done.exception, FixData)
    assert "dialogue" in str(done.exception)
    done = CliRunner().invoke(app, ["export", name, "--to", "onnx"])
    assert isinstance(done.exception, FixSpec)
    assert "--to huggingface" in str(done.exception)


def test_the_export_writes_the_same_in_a_process_that_has_no_toprung(
    finished: Search, tmp_path: Path
) -> None:
    copy = tmp_path / "short"
    shutil.copytree(finished.folder.root, copy)
    done = CliRunner().invoke(app, ["export", str(copy), "--to", "huggingface"])
    assert done.exit_code == 0, done.output
    moved = tmp_path / "elsewhere"
    shutil.move(copy / "export" / "huggingface", moved)
    rows = ["Ann: Hi Bob!\nBob: I need tea.", "Bob: Where is the dog?\nAnn: It sleeps."]
    block = "import sys, runpy; sys.modules['toprung'] = None; sys.argv = sys.argv[1:]; "
    code = block + "sys.path.insert(0, sys.argv[1]); sys.argv = [sys.argv[0], *sys.argv[2:]]; "
    code += "runpy.run_path(sys.argv[0], run_name='__main__')"
    ran = subprocess.run(
        [sys.executable, "-c", code, str(moved / "predict.py"), str(moved), *rows],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert [json.loads(line)["answer"] for line in ran.stdout.splitlines()] == finished.predict(
        rows
    )
    for wrong, told in (
        ("{}", "line 2 is no text, and has no text as its 'dialogue' or 'text'"),
        ("null", "line 2 is no text"),
        ("{", "line 2 is no JSON"),
    ):
        refused = subprocess.run(
            [sys.executable, "-c", code, str(moved / "predict.py"), str(moved)],
            input=f'"Ann: Hi!"\n{wrong}\n',
            capture_output=True,
            text=True,
            cwd=tmp_path,
        )
        assert (refused.returncode, refused.stdout) == (1, "")
        assert told in refused.stderr
    card = (moved / "README.md").read_text(encoding="utf-8")
    assert "pipeline_tag: summarization" in card
    for member in (moved / "members").iterdir():
        model = AutoModelForSeq2SeqLM.from_pretrained(member / "model")
        assert model.generation_config.num_beams == 2


def test_the_data_verb_counts_dialogues(spec: Path) -> None:
    done = CliRunner().invoke(app, ["data", str(spec)])
    assert done.exit_code == 0, done.output
    assert "words of the summary" in done.output


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("space.backbone=minilm", "'minilm' only reads, and summaries are written. Use a card"),
        ("space.pooling=mean", "no parameter 'pooling'"),
        ("space.beams=0", "0 is not a whole number of at least 1"),
        ("space.loss=cross_entropy", "'cross_entropy' does not fit the task summarization"),
        ("ensemble=greedy", "'greedy' does not choose among texts. Use mbr."),
        ("baselines=[majority]", "'majority' does not write summaries. Use lead, longest_turns."),
        ("metric=rouge3", "Did you mean 'rouge"),
    ],
)
def test_a_spec_that_writes_is_checked_as_any_other(spec: Path, override: str, told: str) -> None:
    with pytest.raises(FixSpec) as raised:
        load_spec(str(spec), [override])
    assert told in str(raised.value)


def test_what_writes_is_refused_where_classes_are_answered() -> None:
    for override, told in (
        ("space.backbone=minilm2minilm", "writes texts, and this task answers with classes"),
        ("baselines=[lead]", "'lead' does not read texts"),
        ("ensemble=mbr", "'mbr' does not choose among classes. Use greedy."),
        ("data.references=x", "applies only to task: summarization"),
    ):
        with pytest.raises(FixSpec) as raised:
            load_spec("quickstart", [override])
        assert told in str(raised.value)


def test_a_forecast_reads_each_text_once_and_writes_in_every_beam(spec: Path) -> None:
    found = load_spec(str(spec), ["space.adapter=frozen"])
    data = load_dataset(found.data, found.seed)
    values = {"adapter": "frozen", "backbone": "minilm2minilm", "backbone.minilm2minilm.depth": 1}
    rest = {"batch_size": 8, "max_length": 40, "max_target_length": 14, "warmup_steps": 2}
    (pace,) = measure_paces(
        sample_plan(found, data, Measured("float32", "cpu", 1)),
        [TrialConfig("t0001", {**values, **rest}, 1)],
    )
    # One vector of 384 numbers a token, of texts of 16 tokens and more.
    assert pace.cache_bytes > 16 * 384 * 2
    # Writing takes time too, of each beam.
    assert pace.write_seconds > 0
    resource = Resource("examples", 32, 64, (32, 64))
    held_out = sum(len(data.splits[name]) for name in data.task.splits)
    times, answers = {}, {}
    for beams in (1, 3):
        config = TrialConfig("t0001", {**values, **rest, "beams": beams}, 1)
        prices = Prices({shape_of(config.values): pace}, data, found.cards)
        times[beams] = [seconds for _, seconds in prices.legs(config, resource, None)]
        answers[beams] = prices.answering(config, 10)
    more = [after - before for before, after in zip(times[1], times[3], strict=True)]
    first = min(64, len(data.splits["stopping"]))
    assert more == pytest.approx(
        [2 * first * pace.write_seconds, 2 * held_out * pace.write_seconds]
    )
    assert answers[3] - answers[1] == pytest.approx(2 * 10 * pace.write_seconds)
    # Nothing was computed of rows that no trial has seen.
    read = pace.first_seconds + pace.score_seconds
    assert answers[1] == pytest.approx(10 * (read + pace.write_seconds))
