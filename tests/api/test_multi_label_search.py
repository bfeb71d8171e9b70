"""A multi-label search on the real path: thresholds, predictions, report, and an unread test."""

from __future__ import annotations

import csv
import json
import random
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from toprung.api import Ensemble, Search, opening
from toprung.api.folder import Folder
from toprung.api.opening import Settings, open_run
from toprung.api.testing import predictions
from toprung.cli.main import app
from toprung.data.dataset import Dataset, Split
from toprung.data.load import load_dataset
from toprung.trial.journal import read_events

WORDS = {
    "late": ("late", "delayed", "waiting"),
    "broken": ("broken", "cracked", "damaged"),
    "money": ("refund", "charged", "invoice"),
    "rude": ("rude", "shouted", "insult"),
}
NAMES = tuple(sorted(WORDS))


def make_rows(count: int, seed: int) -> list[dict[str, Any]]:
    chance = random.Random(seed)
    rows = []
    for number in range(count):
        own = [
            n
            for n, share in zip(WORDS, (0.4, 0.3, 0.3, 0.03), strict=True)
            if chance.random() < share
        ]
        said = [chance.choice(WORDS[name]) for name in own] + [
            "order",
            f"{seed}x{number}",
            "my",
            "parcel",
        ]
        chance.shuffle(said)
        rows.append({"text": " ".join(said), "labels": {n: int(n in own) for n in WORDS}})
    return rows


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, write_spec: Callable[..., Path]) -> Search:
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("multi")
    (root / "data").mkdir()
    for seed, (split, count) in enumerate((("train", 512), ("validation", 300), ("test", 160))):
        text = "\n".join(json.dumps(row) for row in make_rows(count, seed))
        (root / "data" / f"{split}.jsonl").write_text(text)
    space = {
        "backbone": {"minilm": {"depth": 1}},
        "adapter": {"lora": {"rank": 8}},
        "pooling": ["mean", "mean_max"],
        "loss": {"bce": {"class_weights": ["none", "sqrt"]}, "binary_focal": {}, "asymmetric": {}},
        "augmenter": "swap",
        "learning_rate": {"float": [5e-3, 1e-2], "log": True},
        "batch_size": 16,
        "max_length": 16,
    }
    path = write_spec(
        root,
        name="labels",
        task="multi_label",
        data={"path": str(root / "data")},
        metric="macro_average_precision",
        space=space,
        resource={"unit": "examples", "min": 256, "max": 1024},
    )
    settings = Settings(runner="inline", results=str(root / "results"))
    return Search(str(path), settings=settings).fit()


def test_each_label_has_a_threshold_fitted_on_rows_of_its_own(finished: Search) -> None:
    said = json.loads((finished.folder.ensemble / "ensemble.json").read_text())
    assert said["task"] == "multi_label"
    assert said["thresholds"]["split"] == "thresholds"
    assert tuple(said["thresholds"]["values"]) == NAMES
    assert said["thresholds"]["rows"] == pytest.approx(100, abs=1)
    assert said["thresholds"]["shared"] == ["rude"]
    assert said["thresholds"]["positives"]["rude"] < 10


def test_predictions_are_the_labels_that_reach_their_thresholds(finished: Search) -> None:
    ensemble = finished.ensemble()
    texts = [row["text"] for row in make_rows(40, 9)]
    probabilities = ensemble.predict_proba(texts)
    assert ensemble.thresholds is not None
    expected = [
        tuple(n for n, p, t in zip(NAMES, row, ensemble.thresholds, strict=True) if p >= t)
        for row in probabilities
    ]
    assert ensemble.predict(texts) == expected
    assert {len(answer) for answer in expected} > {1}
    assert ensemble.predict(["parcel my order"]) == [()]
    assert [
        x.labels for x in Ensemble.load(finished.folder.ensemble).predictions(texts)
    ] == expected


def test_what_a_trial_has_not_predicted_of_all_rows_is_predicted_when_it_is_asked_for(
    finished: Search, tmp_path: Path
) -> None:
    shutil.copytree(finished.folder.root, tmp_path / "labels")
    folder, settings = Folder(tmp_path / "labels"), Settings(runner="inline")
    with open_run(finished.spec, folder, settings) as run:
        record = next(r for r in run.driver.history.trials.values() if r.state == "completed")
        kept = predictions(run, record, "thresholds")
        place = folder.trials / record.config.trial / "predictions"
        (place / f"{record.resource}.thresholds.npy").unlink()
        np.testing.assert_allclose(predictions(run, record, "thresholds"), kept, atol=1e-5)


def test_the_command_answers_with_a_list_of_labels(finished: Search, tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"text": "my parcel is late and broken"}\n')
    ran = CliRunner().invoke(app, ["predict", str(finished.folder.root), str(rows)])
    answer = json.loads(ran.output)
    assert answer["labels"] == ["broken", "late"]
    assert set(answer["probabilities"]) == set(NAMES)


def test_metrics_and_report_tell_of_labels_thresholds_and_their_worth(finished: Search) -> None:
    with finished.folder.metrics.open() as file:
        rows = {row["who"]: row for row in csv.DictReader(file)}
    assert {"macro_f1", "micro_f1", "macro_auc", "subset_accuracy"} < set(rows["ensemble"])
    assert float(rows["ensemble"]["macro_average_precision"]) > 0.6
    assert rows.keys() == {"ensemble", "best_trial", "majority", "tfidf_logreg"}
    report = finished.folder.report.read_text()
    assert "minilm: apache-2.0" in report
    assert (
        "| class | threshold | precision | recall | F1 | AUC | average precision | support |"
        in report
    )
    assert "With these thresholds, fitted on the split `thresholds`" in report
    assert f"`macro_f1` is {float(rows['ensemble']['macro_f1']):.4f}" in report
    assert "Confusion" not in report
    assert "nan" not in report


class Watched(Mapping[str, Split]):
    """Splits that cry out when the test is asked for before the journal says so."""

    def __init__(self, splits: Mapping[str, Split], journal: Path) -> None:
        self.splits, self.journal, self.read = splits, journal, 0

    def __getitem__(self, name: str) -> Split:
        if name == "test":
            assert "test_opened" in self.journal.read_text(), "a test row was read before the end"
            self.read += 1
        return self.splits[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.splits)

    def __len__(self) -> int:
        return len(self.splits)


def test_no_test_row_is_read_before_everything_is_chosen(
    finished: Search, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = tmp_path / "results"
    watched: list[Watched] = []

    def load(*given: Any) -> Dataset:
        found = load_dataset(*given)
        watched.append(Watched(found.splits, results / "labels" / "journal.jsonl"))
        return replace(found, splits=watched[0])

    def without(data: Dataset, *names: str) -> Dataset:
        kept = {name: data.splits[name] for name in data.splits if name not in names}
        return replace(data, splits=kept)

    monkeypatch.setattr(opening, "load_dataset", load)
    monkeypatch.setattr(Dataset, "without", without)
    spec = finished.spec
    again = replace(
        spec,
        trials=2,
        ensemble=replace(
            spec.ensemble, options={**spec.ensemble.options, "members": 1, "candidates": 1}
        ),
    )
    Search(again, settings=Settings(runner="inline", results=str(results))).fit()
    kinds = [event["kind"] for event in read_events(results / "labels" / "journal.jsonl")]
    assert kinds.count("test_opened") == 1
    assert kinds.index("test_opened") > max(i for i, kind in enumerate(kinds) if kind == "reported")
    assert watched[0].read > 0
