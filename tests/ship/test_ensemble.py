"""A saved ensemble predicts as it did before, in any process, and trusts no file blindly."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from toprung import Ensemble
from toprung.api import Search
from toprung.core.errors import FixEnvironment
from toprung.data.load import load_dataset
from toprung.data.metrics import softmax
from toprung.judge.finalists import member_report
from toprung.learn.backbone.load import load_backbone

TEXTS = [
    "my parcel is late",
    "I was charged twice and want my money back",
    "",
    "wörter — 他的 🎁 " * 40,
    "how do I change my password?",
]
FRESH = """
import json, sys
from toprung import Ensemble
ensemble = Ensemble.load(sys.argv[1])
texts = json.loads(sys.stdin.read())
words = {
    parameter.untyped_storage().data_ptr()
    for member in ensemble.members.values()
    for name, parameter in member.model.named_parameters()
    if name.endswith("word_embeddings.weight")
}
print(json.dumps({
    "probabilities": ensemble.predict_proba(texts).tobytes().hex(),
    "labels": ensemble.predict(texts),
    "word_embeddings": len(words),
}))
"""


@pytest.fixture(scope="module")
def ensemble(finished: Search) -> Ensemble:
    return finished.ensemble()


@pytest.fixture
def folder(finished: Search, tmp_path: Path) -> Path:
    """A copy of the ensemble that may be broken."""
    return Path(shutil.copytree(finished.folder.ensemble, tmp_path / "ensemble"))


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = folder / "ensemble.json"
    said = json.loads(path.read_text(encoding="utf-8"))
    change(said)
    path.write_text(json.dumps(said), encoding="utf-8")


def test_a_fresh_process_predicts_the_same_bits_and_shares_the_backbone(
    ensemble: Ensemble, finished: Search
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FRESH, str(finished.folder.ensemble)],
        input=json.dumps(TEXTS),
        capture_output=True,
        text=True,
        check=True,
    )
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["probabilities"] == ensemble.predict_proba(TEXTS).tobytes().hex()
    assert told["labels"] == ensemble.predict(TEXTS)
    assert told["word_embeddings"] == 1


def test_the_test_split_is_predicted_as_it_was_when_the_ensemble_was_built(
    ensemble: Ensemble, finished: Search
) -> None:
    split = load_dataset(finished.spec.data, finished.spec.seed).splits["test"]
    kept = np.load(finished.folder.predictions / "ensemble.npy", allow_pickle=False)
    found = np.log(np.maximum(ensemble.predict_proba(split.texts), 1e-12)).astype(np.float32)
    assert np.array_equal(found, kept)


def test_trained_members_predict_as_their_trials_did(ensemble: Ensemble, finished: Search) -> None:
    split = load_dataset(finished.spec.data, finished.spec.seed).splits["selection"]
    for trial, logits in ensemble.member_logits(split.texts).items():
        best = member_report(finished.history().trials[trial], finished.spec.metric)
        assert best is not None
        saved = finished.folder.trials / trial / "predictions" / f"{best.resource}.selection.npy"
        assert np.allclose(logits, np.load(saved, allow_pickle=False), atol=1e-5)


def test_members_score_together_as_each_does_alone(ensemble: Ensemble) -> None:
    together = ensemble.member_logits(TEXTS * 30)
    for trial, member in ensemble.members.items():
        assert together[trial].tobytes() == member.logits(TEXTS * 30).tobytes()


def test_the_prediction_is_the_members_blend_at_the_temperature(ensemble: Ensemble) -> None:
    assert len(ensemble.members) == 2
    logits = ensemble.member_logits(TEXTS)
    blended = sum(weight * softmax(logits[name]) for name, weight in ensemble.weights.items())
    sharpened = blended ** (1 / ensemble.temperature)
    expected = sharpened / sharpened.sum(axis=1, keepdims=True)
    found = ensemble.predict_proba(TEXTS)
    assert np.allclose(found, expected, atol=1e-9)
    assert np.allclose(found.sum(axis=1), 1)
    assert found.shape == (len(TEXTS), 15)


def test_the_saved_files_do_not_depend_on_what_was_tokenised_before(copied: Search) -> None:
    def hashes() -> list[object]:
        said = json.loads((copied.folder.ensemble / "ensemble.json").read_text(encoding="utf-8"))
        return [member["files"] for member in said["members"]]

    before = hashes()
    tokenizer = load_backbone(next(iter(copied.spec.cards.values()))).tokenizer
    tokenizer(TEXTS, truncation=True, max_length=9, padding=True)
    copied.rebuild_ensemble()
    assert hashes() == before


def test_labels_and_probabilities_of_a_text_belong_together(ensemble: Ensemble) -> None:
    probabilities, labels = ensemble.predict_proba(TEXTS), ensemble.predict(TEXTS)
    for answer, row, label in zip(ensemble.predictions(TEXTS), probabilities, labels, strict=True):
        assert answer.label == label
        assert max(answer.probabilities, key=lambda name: answer.probabilities[name]) == label
        assert list(answer.probabilities.values()) == row.tolist()


def test_members_share_the_frozen_backbone_in_memory(ensemble: Ensemble) -> None:
    places = [
        {
            name: parameter.untyped_storage().data_ptr()
            for name, parameter in member.model.named_parameters()
            if name.endswith(("word_embeddings.weight", "position_embeddings.weight"))
        }
        for member in ensemble.members.values()
    ]
    assert len(places[0]) == 2
    assert list(places[0].values()) == list(places[1].values())


@pytest.mark.parametrize("texts", [[], (), np.array([], dtype=str), pd.Series([], dtype=str)])
def test_no_text_gives_no_answer(texts: Any, ensemble: Ensemble) -> None:
    assert ensemble.predict_proba(texts).shape == (0, 15)
    assert ensemble.predict(texts) == []
    assert ensemble.predictions(texts) == []


@pytest.mark.parametrize("listed", [tuple, np.array, pd.Series])
def test_texts_may_stand_in_an_array_or_a_column(listed: Any, ensemble: Ensemble) -> None:
    assert ensemble.predict(listed(TEXTS)) == ensemble.predict(TEXTS)


@pytest.mark.parametrize("texts", ["my parcel is late", ["late", None], [3]])
def test_what_is_no_list_of_texts_is_refused(texts: Any, ensemble: Ensemble) -> None:
    with pytest.raises(TypeError, match=r"list of texts|not a string"):
        ensemble.predict(texts)


def test_a_folder_without_an_ensemble_says_how_to_build_one(tmp_path: Path) -> None:
    with pytest.raises(FixEnvironment, match="toprung ensemble"):
        Ensemble.load(tmp_path)


@pytest.mark.parametrize("name", ["weights.safetensors", "member.json", "tokenizer/tokenizer.json"])
def test_a_file_that_was_changed_is_refused(name: str, folder: Path) -> None:
    trial = json.loads((folder / "ensemble.json").read_text())["members"][0]["trial"]
    path = folder / "members" / trial / name
    path.write_bytes(path.read_bytes()[:-1] + b" ")
    with pytest.raises(FixEnvironment, match=r"(?s)tokenizer|weights|member.*SHA-256 differs"):
        Ensemble.load(folder)


@pytest.mark.parametrize("name", ["weights.safetensors", "tokenizer/tokenizer.json"])
def test_a_file_that_is_missing_is_named(name: str, folder: Path) -> None:
    trial = json.loads((folder / "ensemble.json").read_text())["members"][0]["trial"]
    (folder / "members" / trial / name).unlink()
    with pytest.raises(FixEnvironment, match="is missing"):
        Ensemble.load(folder)


def test_a_file_that_is_a_link_to_elsewhere_is_refused(folder: Path, tmp_path: Path) -> None:
    trial = json.loads((folder / "ensemble.json").read_text())["members"][0]["trial"]
    path = folder / "members" / trial / "weights.safetensors"
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FixEnvironment, match="outside of its folder"):
        Ensemble.load(folder)


@pytest.mark.parametrize("name", ["../../../x", "/etc/passwd", "a\0b", "\udc80", "..", "x" * 5000])
def test_a_hostile_file_name_is_refused(name: str, folder: Path) -> None:
    edit(folder, lambda said: said["members"][0]["files"].update({name: "0" * 64}))
    with pytest.raises(FixEnvironment):
        Ensemble.load(folder)


def _trial(name: object) -> Callable[[dict[str, Any]], object]:
    return lambda said: said["members"][0].update(trial=name)


BROKEN: dict[str, Callable[[dict[str, Any]], object]] = {
    "a path as a member": _trial("../../t0001"),
    "the folder above as a member": _trial(".."),
    "an absolute path as a member": _trial("/etc"),
    "an empty name": _trial(""),
    "a member that is not there": _trial("t9999"),
    "a NUL in a name": _trial("t\0"),
    "no members": lambda said: said.update(members=[]),
    "members that are no list": lambda said: said.update(members=3),
    "no labels": lambda said: said.pop("labels"),
    "fewer labels": lambda said: said["labels"].pop(),
    "labels in another order": lambda said: said["labels"].reverse(),
    "a weight that is NaN": lambda said: said["members"][0].update(weight=float("nan")),
    "a weight below zero": lambda said: said["members"][0].update(weight=-0.5),
    "weights that sum to two": lambda said: said["members"][0].update(weight=1.5),
    "a weight in words": lambda said: said["members"][0].update(weight="half"),
    "no files": lambda said: said["members"][0].pop("files"),
    "files that are no mapping": lambda said: said["members"][0].update(files=[1]),
    "a temperature of zero": lambda said: said.update(temperature=0),
    "a temperature without end": lambda said: said.update(temperature=float("inf")),
    "no temperature": lambda said: said.pop("temperature"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_description_is_refused_in_words(case: str, folder: Path) -> None:
    edit(folder, BROKEN[case])
    with pytest.raises(FixEnvironment, match=r"copy the ensemble/ folder|outside of its folder"):
        Ensemble.load(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "null", "[" * 100_000, '{"members": {}}'])
def test_a_description_that_is_no_json_of_ours_is_refused(text: str, folder: Path) -> None:
    (folder / "ensemble.json").write_text(text, encoding="utf-8")
    with pytest.raises(FixEnvironment, match="not as toprung wrote it"):
        Ensemble.load(folder)
