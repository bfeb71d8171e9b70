"""What a finished search leaves behind, and that it can be made again from its journal."""

from __future__ import annotations

import csv
import json
import math
import zipfile
from pathlib import Path

import pandas as pd
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import metadata, plugin_data_pb2

from toprung.api import Search
from toprung.data.metrics import METRICS
from toprung.trial.journal import read_events

PICKLES = (".pkl", ".pickle", ".pt", ".pth", ".bin", ".joblib", ".ckpt")


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def snapshot(root: Path) -> dict[str, bytes]:
    files = (path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


def scalars(folder: Path) -> EventAccumulator:
    found = EventAccumulator(str(folder))
    found.Reload()
    return found


def test_the_folder_holds_what_the_readme_promises(finished: Search) -> None:
    there = {path.name for path in finished.folder.root.iterdir()}
    assert there == {
        "spec.yaml",
        "journal.jsonl",
        "journal.lock",
        "leaderboard.csv",
        "metrics.csv",
        "report.md",
        "report.html",
        "environment.json",
        "ensemble",
        "predictions",
        "trials",
    }
    assert {path.name for path in finished.folder.trials.iterdir() if path.is_dir()} == {
        "t0001",
        "t0002",
        "t0003",
        "t0004",
    }


def test_the_leaderboard_file_has_the_promised_columns(finished: Search) -> None:
    rows = table(finished.folder.leaderboard)
    keys = list(dict.fromkeys(key for row in finished.rows() for key in row.values))
    columns = list(rows[0])
    fixed = ["rank", "trial", "score", "resource", "seconds", "state", "reason", "diagnoses"]
    assert columns[:8] == fixed
    assert sorted(columns[8:]) == sorted(keys)
    assert {"backbone", "adapter", "adapter.lora.rank", "learning_rate"} <= set(columns)
    assert {row["trial"] for row in rows if row["state"] == "baseline"} == {
        "majority",
        "tfidf_logreg",
    }
    assert [row["rank"] for row in rows] == [str(place) for place in range(1, len(rows) + 1)]
    assert all(row["reason"] for row in rows)


def test_the_leaderboard_is_a_frame_with_the_columns_of_the_file(finished: Search) -> None:
    frame = finished.leaderboard()
    rows = table(finished.folder.leaderboard)
    assert isinstance(frame, pd.DataFrame)
    assert list(frame.columns) == list(rows[0])
    assert list(frame["trial"]) == [row["trial"] for row in rows]
    assert frame["score"].is_monotonic_decreasing


def test_the_best_configuration_is_that_of_the_first_trial(finished: Search) -> None:
    trials = [row for row in finished.rows() if row.state != "baseline"]
    assert finished.best() == dict(trials[0].values)


def test_the_test_metrics_have_a_row_for_everyone(finished: Search) -> None:
    rows = table(finished.folder.metrics)
    assert list(rows[0]) == ["who", *METRICS]
    assert [row["who"] for row in rows] == ["ensemble", "best_trial", "majority", "tfidf_logreg"]
    for row in rows:
        assert all(math.isfinite(float(row[name])) for name in METRICS)


def test_the_ensembles_description_has_the_promised_keys(finished: Search) -> None:
    said = json.loads((finished.folder.ensemble / "ensemble.json").read_text(encoding="utf-8"))
    assert {"members", "temperature", "labels", "metric", "test"} <= set(said)
    assert len(said["members"]) == 2
    for member in said["members"]:
        assert {"trial", "weight", "backbone", "sha256", "revision", "files"} <= set(member)
        assert member["backbone"] == "minilm"
        assert member["sha256"] == member["files"]["weights.safetensors"]
    assert sum(member["weight"] for member in said["members"]) == pytest.approx(1)
    assert (said["metric"], len(said["labels"])) == ("macro_f1", 15)
    test = said["test"]
    assert {"value", "interval", "gain_over_best_trial"} <= set(test)
    assert set(test["gain_over_best_trial"]) == {"value", "interval"}
    assert test["opened"] == 1
    low, high = test["interval"]
    assert low <= test["value"] <= high


def test_test_metrics_description_and_report_tell_the_same_value(finished: Search) -> None:
    said = json.loads((finished.folder.ensemble / "ensemble.json").read_text(encoding="utf-8"))
    value = float(table(finished.folder.metrics)[0]["macro_f1"])
    assert value == pytest.approx(said["test"]["value"], abs=1e-6)
    assert f"macro_f1 {value:.4f}" in finished.folder.report.read_text(encoding="utf-8")


def test_no_file_is_a_pickle(finished: Search) -> None:
    for path in finished.folder.root.rglob("*"):
        if not path.is_file():
            continue
        assert path.suffix not in PICKLES
        assert not zipfile.is_zipfile(path)  # what torch.save writes
        start = path.read_bytes()[:2]
        assert not (start[:1] == b"\x80" and start[1:] in (b"\x02", b"\x03", b"\x04", b"\x05"))
        if path.suffix == ".npy":
            assert b"'descr': '|O'" not in path.read_bytes()[:128]


def test_the_environment_names_versions_and_machine(finished: Search) -> None:
    said = json.loads(finished.folder.environment.read_text(encoding="utf-8"))
    assert {"toprung", "python", "platform", "cpus", "packages"} <= set(said)
    assert {"torch", "ray", "transformers", "peft"} <= set(said["packages"])


def test_the_saved_spec_is_the_spec(finished: Search) -> None:
    again = Search(str(finished.folder.spec))
    assert again.spec == finished.spec
    assert again.spec.name == "tiny"


def test_tensorboard_reads_the_scalars_of_every_trial(finished: Search) -> None:
    for trial, record in finished.history().trials.items():
        found = scalars(finished.folder.trials / trial)
        told = [(event.step, event.value) for event in found.Scalars("validation/macro_f1")]
        assert [step for step, _ in told] == [report.resource for report in record.reports]
        best = record.best(finished.spec.metric)
        assert best is not None
        assert found.Scalars("best/macro_f1")[-1].value == pytest.approx(best.metrics["macro_f1"])
        assert found.Scalars("train/loss")
        assert found.Scalars("cost/seconds")


def test_tensorboard_reads_the_hyperparameters_of_every_trial(finished: Search) -> None:
    for trial, record in finished.history().trials.items():
        content = scalars(finished.folder.trials / trial).summary_metadata[
            metadata.SESSION_START_INFO_TAG
        ]
        data = plugin_data_pb2.HParamsPluginData.FromString(content.plugin_data.content)
        values = data.session_start_info.hparams
        assert set(values) == set(record.config.values)
        rate = values["learning_rate"].number_value
        assert rate == pytest.approx(record.config.values["learning_rate"])
        assert values["pooling"].string_value == record.config.values["pooling"]


def test_views_that_were_deleted_are_made_again_byte_for_byte(copied: Search) -> None:
    def views() -> dict[str, bytes]:
        kept = ("leaderboard.csv", "metrics.csv", "report.md", "report.html")
        return {
            name: data
            for name, data in snapshot(copied.folder.root).items()
            if name in kept or "tfevents" in name
        }

    before = views()
    assert len(before) == 4 + 1 + 4
    for name in before:
        (copied.folder.root / name).unlink()
    copied.fit()
    assert views() == before


def test_a_finished_search_trains_nothing_and_leaves_the_test_split_closed(copied: Search) -> None:
    before, events = snapshot(copied.folder.root), read_events(copied.folder.journal)
    copied.fit()
    gained = read_events(copied.folder.journal)[len(events) :]
    assert [event["kind"] for event in gained] == ["opened"]
    after = snapshot(copied.folder.root)
    changed = {name for name in after if after[name] != before.get(name)}
    assert {name for name in changed if "tfevents" not in name} == {"journal.jsonl", "journal.lock"}
    said = json.loads((copied.folder.ensemble / "ensemble.json").read_text(encoding="utf-8"))
    assert said["test"]["opened"] == 1


def test_an_ensemble_that_was_deleted_is_built_again_without_training(copied: Search) -> None:
    before = snapshot(copied.folder.ensemble)
    events = len(read_events(copied.folder.journal))
    for path in sorted(copied.folder.ensemble.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    copied.fit()
    kinds = [event["kind"] for event in read_events(copied.folder.journal)[events:]]
    assert kinds == ["opened", "test_opened", "ensembled"]
    after = snapshot(copied.folder.ensemble)
    assert {n: d for n, d in after.items() if n != "ensemble.json"} == {
        n: d for n, d in before.items() if n != "ensemble.json"
    }
    said = json.loads(after["ensemble.json"])
    assert said["test"]["opened"] == 2
