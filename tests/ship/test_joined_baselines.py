"""A baseline as a member: mixed in, saved without pickles, served and exported."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from toprung import Ensemble
from toprung.api import Search, searching
from toprung.api.opening import Settings
from toprung.cli.main import app
from toprung.core.errors import FixEnvironment, FixSpec, Interrupted
from toprung.core.files import read_json, sha256_file, write_json
from toprung.judge.baselines._plain import Words
from toprung.spec.load import load_spec

NAME = "tfidf_logreg"
TEXTS = ["my parcel is late", "I want a refund now, please!", "", "пароль PASSWORD", "x"]


@pytest.fixture(scope="module")
def joined(finished: Search, tmp_path_factory: pytest.TempPathFactory) -> Search:
    """The finished search, whose ensemble was built again with its baselines."""
    results = tmp_path_factory.mktemp("joined")
    shutil.copytree(finished.folder.root, results / "tiny")
    spec = results / "tiny" / "spec.yaml"
    text = spec.read_text(encoding="utf-8")
    assert "baselines: false" in text
    spec.write_text(text.replace("baselines: false", "baselines: true"), encoding="utf-8")
    search = Search.attach("tiny", Settings(runner="inline", results=str(results)))
    return search.rebuild_ensemble()


@pytest.fixture
def folder(joined: Search, tmp_path: Path) -> Path:
    """A copy of the ensemble that may be broken."""
    return Path(shutil.copytree(joined.folder.ensemble, tmp_path / "ensemble"))


def test_the_baseline_has_a_share_is_told_of_and_answers_as_it_did(joined: Search) -> None:
    said = read_json(joined.folder.ensemble / "ensemble.json")
    weights = {member["trial"]: member["weight"] for member in said["members"]}
    assert 0 < weights[NAME] < 1
    assert sum(weights.values()) == pytest.approx(1)
    assert list(weights.values()) == sorted(weights.values(), reverse=True)
    assert said["selection"]["value"] >= max(said["selection"]["members"].values())
    report = joined.folder.report.read_text(encoding="utf-8")
    assert f"`{NAME}` is a baseline" in report
    kept = np.load(joined.folder.predictions / "members" / f"{NAME}.npy")
    contender = np.load(joined.folder.predictions / f"{NAME}.npy")
    np.testing.assert_array_equal(kept, contender)


def test_a_baseline_that_the_search_did_not_know_may_join_afterwards(
    finished: Search, tmp_path: Path
) -> None:
    settings = Settings(runner="inline", results=str(tmp_path))
    few = load_spec(str(finished.folder.spec), ["baselines=[majority]"])
    search = Search(few, settings=settings).fit()
    spec = search.folder.spec
    text = spec.read_text(encoding="utf-8").replace("baselines: false", "baselines: true")
    assert "baselines: [majority]" in text
    spec.write_text(text.replace("[majority]", f"[majority, {NAME}]"), encoding="utf-8")
    again = Search.attach(few.name, settings).rebuild_ensemble()
    assert NAME in again.ensemble().members
    assert f"`{NAME}` is a baseline" in again.folder.report.read_text(encoding="utf-8")
    assert NAME in set(again.leaderboard()["trial"])


def test_a_pause_while_baselines_are_learned_again_leaves_the_ensemble_and_test_alone(
    copied: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (copied.folder.ensemble / "ensemble.json").read_bytes()
    opened = copied.folder.journal.read_text(encoding="utf-8").count("test_opened")

    def pause(*_: object, **__: object) -> None:
        copied.pause()

    monkeypatch.setattr(searching, "measure_baseline", pause)
    with pytest.raises(Interrupted):
        copied.rebuild_ensemble()
    assert (copied.folder.ensemble / "ensemble.json").read_bytes() == before
    assert copied.folder.journal.read_text(encoding="utf-8").count("test_opened") == opened


def test_it_predicts_the_same_after_loading_and_in_the_exports(
    joined: Search, tmp_path: Path
) -> None:
    for kind in ("huggingface", "onnx"):
        ran = CliRunner().invoke(app, ["export", str(joined.folder.root), "--to", kind])
        assert ran.exit_code == 0, ran.output
        learned = joined.folder.root / "export" / kind / "members" / NAME / "learned.npz"
        with np.load(learned, allow_pickle=False) as file:
            found = Words(dict(file)).logits(TEXTS)
        member = joined.ensemble().members[NAME]
        np.testing.assert_array_equal(found.astype(np.float32), member.logits(TEXTS))
    moved = tmp_path / "elsewhere"
    shutil.copytree(joined.folder.root / "export" / "huggingface", moved)
    block = "import sys, runpy; sys.modules.update(toprung=None, sklearn=None); sys.argv.pop(0); "
    code = block + "sys.path.insert(0, sys.argv[0].rpartition('/')[0]); "
    code += "runpy.run_path(sys.argv[0], run_name='__main__')"
    ran = subprocess.run(
        [sys.executable, "-c", code, str(moved / "predict.py"), *TEXTS],
        capture_output=True,
        text=True,
        check=True,
    )
    rows = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [row["answer"] for row in rows] == joined.predict(TEXTS)
    answered = [list(row["probabilities"].values()) for row in rows]
    np.testing.assert_allclose(answered, joined.predict_proba(TEXTS), atol=2e-5)


@pytest.mark.parametrize("harm", ["pickle", "half", "name", "format", "idf", "labels", "bomb"])
def test_a_file_that_is_not_as_it_was_written_is_refused_in_words(folder: Path, harm: str) -> None:
    member = folder / "members" / NAME
    learned = member / "learned.npz"
    if harm == "pickle":
        np.savez(learned, terms=np.array([{"a": 1}], dtype=object))
    elif harm == "half":
        learned.write_bytes(learned.read_bytes()[:1000])
    elif harm in ("idf", "labels", "bomb"):
        with np.load(learned) as file:
            arrays = dict(file)
        if harm == "idf":
            arrays["idf"] = arrays["idf"][:-1]
        elif harm == "labels":
            arrays |= {"weights": arrays["weights"][:, :2], "bias": arrays["bias"][:2]}
        else:
            arrays["terms"] = np.zeros(1 << 27, np.uint8)
        np.savez_compressed(learned, **arrays)
    elif harm == "name":
        np.savez(learned, other=np.zeros(3))
    else:
        write_json(member / "baseline.json", {"format": 99})
    with pytest.raises(FixEnvironment, match="is not the file that was saved"):
        Ensemble.load(folder)
    # Whoever changes a file can change its hash too.
    said = read_json(folder / "ensemble.json")
    for entry in said["members"]:
        at = folder / "members" / entry["trial"]
        entry["files"] = {name: sha256_file(at / name) for name in entry["files"]}
    write_json(folder / "ensemble.json", said)
    with pytest.raises(FixEnvironment, match="is no baseline that toprung wrote"):
        Ensemble.load(folder)


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["baselines=[majority]"], "none of the baselines of this search can join its ensemble"),
        (["baselines=[]"], "Name tfidf_logreg in baselines, or leave this out"),
    ],
)
def test_an_ensemble_without_a_baseline_to_join_it_is_refused(
    finished: Search, overrides: list[str], told: str
) -> None:
    path = str(finished.folder.spec)
    with pytest.raises(FixSpec, match=told):
        load_spec(path, ["ensemble.uniform.baselines=true", *overrides])
