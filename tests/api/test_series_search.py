"""A search over windows of several modalities on the real path, from spec to predictions."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from toprung.api import Search
from toprung.api.estimating import estimate
from toprung.api.opening import Settings
from toprung.cli.main import app
from toprung.core.errors import FixData, FixSpec, Interrupted
from toprung.data.series import Series
from toprung.spec.load import load_spec
from toprung.trial.journal import Event, read_events

SPACE: dict[str, Any] = {
    "backbone": {
        "transformer": {
            "width": 16,
            "layers": [1, 2],
            "heads": 2,
            "patch": 3,
            "fusion": ["early", "late", "cross_attention"],
            "position": ["learned", "sinusoidal"],
        }
    },
    "loss": {"cross_entropy": {}, "focal": {"gamma": 1.0}},
    "modality_dropout": 0.2,
    "auxiliary_weight": {"float": [0.0, 0.5]},
    "learning_rate": {"float": [3e-3, 2e-2], "log": True},
    "batch_size": 16,
    "patience": 3,
}


@pytest.fixture(scope="module")
def spec(
    tmp_path_factory: pytest.TempPathFactory,
    write_spec: Callable[..., Path],
    write_windows: Callable[..., Path],
) -> Path:
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("series")
    return write_spec(
        root,
        name="windows",
        task="series",
        data={"path": str(write_windows(root / "data"))},
        space=SPACE,
        metric="positive_f1",
        resource={"unit": "epochs", "min": 2, "max": 4},
        ensemble={"uniform": {"members": 2, "candidates": 2, "baselines": True}},
    )


def settings(results: Path, **more: Any) -> Settings:
    return Settings(runner="inline", results=str(results), **more)


@pytest.fixture(scope="module")
def finished(spec: Path, tmp_path_factory: pytest.TempPathFactory) -> Search:
    return Search(str(spec), settings=settings(tmp_path_factory.mktemp("results"))).fit()


def rows(windows: Callable[[int, int], dict[str, Any]], *names: str) -> Series:
    arrays = windows(20, 9)
    return Series({name: arrays[name] for name in names})


def test_the_ensemble_beats_chance_and_stands_beside_baselines_of_series(finished: Search) -> None:
    with finished.folder.metrics.open(encoding="utf-8", newline="") as file:
        found = {row["who"]: row for row in csv.DictReader(file)}
    names = {"ensemble", "best_trial", "majority", "features_logreg", "features_boosting"}
    assert found.keys() == names
    assert float(found["ensemble"]["positive_f1"]) > 0.7
    assert float(found["majority"]["positive_f1"]) == 0.0
    assert list(found["ensemble"])[1:3] == ["positive_f1", "macro_auc"]
    report = finished.folder.report.read_text(encoding="utf-8")
    assert "Licences of the weights" not in report
    assert (
        "| split | windows | classes | acc, steps × channels | gyro, steps × channels |" in report
    )
    assert "nan" not in report


def test_every_report_says_how_one_sided_the_answers_are(finished: Search) -> None:
    events = read_events(finished.folder.journal)
    reports = [event["metrics"] for event in events if event["kind"] == "reported"]
    assert reports
    assert all(0.5 <= found["largest_predicted_share"] <= 1.0 for found in reports)
    assert any(found.get("train_auxiliary_loss", 0.0) > 0 for found in reports)


def test_a_search_on_windows_that_is_cut_off_ends_as_the_one_that_was_not(
    finished: Search, tmp_path: Path
) -> None:
    search: Search | None = None
    left = 3

    def pause(event: Event) -> None:
        nonlocal left
        left -= event["kind"] == "reported"
        if left == 0 and event["kind"] == "reported" and search is not None:
            search.pause()

    search = Search(finished.spec, settings=settings(tmp_path, watchers=(pause,)))
    with pytest.raises(Interrupted):
        search.fit()
    search.fit()
    one, other = (
        json.loads((s.folder.ensemble / "ensemble.json").read_text()) for s in (search, finished)
    )
    assert one == other


def test_the_ensemble_predicts_where_a_modality_is_missing(
    finished: Search, windows: Callable[[int, int], dict[str, Any]]
) -> None:
    labels = [("calm", "fall")[label] for label in windows(20, 9)["labels"]]
    for names in (("acc", "gyro"), ("acc",), ("gyro",)):
        found = finished.predict(rows(windows, *names))
        assert np.mean([a == b for a, b in zip(found, labels, strict=True)]) > 0.65
    with pytest.raises(TypeError, match="not texts"):
        finished.predict(["a text"])


def test_the_command_line_labels_windows(
    finished: Search, windows: Callable[[int, int], dict[str, Any]], tmp_path: Path
) -> None:
    np.savez(tmp_path / "rows.npz", acc=rows(windows, "acc").arrays["acc"])
    name, out = str(finished.folder.root), tmp_path / "out.jsonl"
    done = CliRunner().invoke(app, ["predict", name, str(tmp_path / "rows.npz"), "-o", str(out)])
    assert done.exit_code == 0, done.output
    answers = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert [answer["row"] for answer in answers] == list(range(20))
    assert {answer["label"] for answer in answers} == {"calm", "fall"}
    assert all(answer["missing"] == ["gyro"] for answer in answers)
    (tmp_path / "rows.jsonl").write_text('{"text": "x"}\n')
    done = CliRunner().invoke(app, ["predict", name, str(tmp_path / "rows.jsonl")])
    assert isinstance(done.exception, FixData)
    assert "not a zip archive" in str(done.exception)
    done = CliRunner().invoke(app, ["predict", name, "-"], input="x")
    assert isinstance(done.exception, FixData)
    assert "read from an .npz file" in str(done.exception)


def test_the_export_predicts_in_a_process_that_has_numpy_and_onnxruntime_alone(
    finished: Search, windows: Callable[[int, int], dict[str, Any]], tmp_path: Path
) -> None:
    pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    copy, moved = tmp_path / "windows", tmp_path / "elsewhere"
    shutil.copytree(finished.folder.root, copy)
    done = CliRunner().invoke(app, ["export", str(copy), "--to", "onnx"])
    assert done.exit_code == 0, done.output
    shutil.move(copy / "export" / "onnx", moved)
    assert "python predict.py windows.npz" in (moved / "README.md").read_text(encoding="utf-8")
    given = rows(windows, "acc", "gyro")
    given.arrays["gyro"][3:9] = np.nan
    assert (moved / "members" / "features_logreg" / "learned.npz").is_file()
    block = "import sys, runpy; sys.modules.update(toprung=None, torch=None, sklearn=None); "
    block += "sys.argv.pop(0); sys.path.insert(0, sys.argv[0].rpartition('/')[0]); "
    code = block + "runpy.run_path(sys.argv[0], run_name='__main__')"

    def predict(**arrays: Any) -> subprocess.CompletedProcess[str]:
        np.savez(tmp_path / "rows.npz", subject=np.arange(20), **arrays)
        order = [sys.executable, "-c", code, str(moved / "predict.py"), str(tmp_path / "rows.npz")]
        return subprocess.run(order, capture_output=True, text=True, check=False)

    ran = predict(**given.arrays)
    acc = given.arrays["acc"]
    empty = np.where(np.arange(20)[:, None, None] == 4, np.nan, acc).astype(np.float32)
    half = np.where(np.arange(12)[:, None] == 4, np.nan, acc).astype(np.float32)
    for wrong, told in (
        ({"acc": empty}, "window 4 has none of acc, gyro"),
        ({"acc": half}, "window 0 of acc has a NaN"),
        ({"acc": acc[:, :5]}, "acc is (5, 2), not (12, 2)"),
        ({"other": acc}, "the arrays acc, gyro have [] windows"),
    ):
        refused = predict(**wrong)
        assert refused.returncode == 1
        assert told in refused.stderr
    answers = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [answer["answer"] for answer in answers] == finished.predict(given)
    found = [list(answer["probabilities"].values()) for answer in answers]
    np.testing.assert_allclose(found, finished.predict_proba(given), atol=1e-5)
    done = CliRunner().invoke(app, ["export", str(copy), "--to", "huggingface"])
    assert isinstance(done.exception, FixSpec)
    assert "Take --to onnx." in str(done.exception)


def test_the_data_verb_counts_windows(spec: Path) -> None:
    done = CliRunner().invoke(app, ["data", str(spec)])
    assert done.exit_code == 0, done.output
    assert "acc 12 × 2, gyro 6 × 1" in done.output.replace("\n", " ")


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("space.backbone=minilm", "no architecture 'minilm'. Known: transformer."),
        ("space.adapter=lora", "no parameter 'adapter'"),
        ("space.modality_dropout=1.0", "1.0 is not a number of at least 0 and below 1"),
        ("space.augmenter=typo", "no parameter 'augmenter'"),
        ("baselines=[tfidf_logreg]", "'tfidf_logreg' does not read series. Use majority, features"),
        ("space.loss=bce", "bce"),
        ("metric=positve_f1", "Did you mean 'positive_f1'"),
    ],
)
def test_a_spec_of_series_is_checked_as_any_other(spec: Path, override: str, told: str) -> None:
    with pytest.raises(FixSpec) as raised:
        load_spec(str(spec), [override])
    assert told in str(raised.value)


def test_a_transformer_that_cannot_be_built_is_refused(spec: Path) -> None:
    with pytest.raises(FixSpec, match="3 heads do not divide a width of 16"):
        load_spec(str(spec), ["space.backbone.transformer.heads=3"])


def test_texts_know_nothing_of_modalities() -> None:
    for override in ("space.modality_dropout=0.1", "space.auxiliary_weight=1.0"):
        with pytest.raises(FixSpec, match="no parameter"):
            load_spec("quickstart", [override])
    with pytest.raises(FixSpec, match="'features_logreg' does not read texts"):
        load_spec("quickstart", ["baselines=[features_logreg]"])


def test_its_cost_can_be_told_beforehand(spec: Path, tmp_path: Path) -> None:
    loaded = load_spec(str(spec), ["space.pretraining_epochs=1"])
    assert estimate(loaded, settings(tmp_path)).seconds.low > 0
