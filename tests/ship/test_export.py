"""Exports: loaded by transformers, PEFT and onnxruntime alone, with the same answers."""

from __future__ import annotations

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
import yaml
from peft import PeftModel
from transformers import AutoConfig, AutoModel, pipeline
from typer.testing import CliRunner

from toprung.api import Search
from toprung.api.exporting import export
from toprung.api.folder import Folder
from toprung.api.opening import Settings
from toprung.cli.main import app
from toprung.core.errors import FixEnvironment
from toprung.learn.backbone.card import find_card
from toprung.learn.backbone.load import load_backbone
from toprung.learn.member import Member
from toprung.ship.merge import Merged
from toprung.ship.sequence import as_sequence_classifier
from toprung.ship.standalone import AT_ONCE, Ensemble

TEXTS = ["my parcel is late", "I want a refund now, please!", "password", "x"]


@pytest.fixture(scope="module")
def exported(finished: Search, tmp_path_factory: pytest.TempPathFactory) -> tuple[Search, Path]:
    results = tmp_path_factory.mktemp("exported")
    shutil.copytree(finished.folder.root, results / "tiny")
    ran = CliRunner().invoke(app, ["export", "tiny", "--results", str(results)])
    assert ran.exit_code == 0, ran.output
    assert "100.0% of the answers are the same" in " ".join(ran.output.split())
    return Search.attach(str(results / "tiny")), results / "tiny" / "export" / "huggingface"


@pytest.fixture(scope="module")
def of_cls(tmp_path_factory: pytest.TempPathFactory, write_spec: Callable[..., Path]) -> Search:
    """A search of which every member is a classifier of transformers."""
    root = tmp_path_factory.mktemp("of_cls")
    path = write_spec(root, budget={"trials": 2})
    spec = yaml.safe_load(path.read_text())
    path = write_spec(root, space={**spec["space"], "pooling": "cls"}, budget={"trials": 2})
    settings = Settings(runner="inline", results=str(root / "results"))
    return Search(str(path), settings=settings).fit()


def test_the_script_answers_in_a_process_that_has_no_toprung(
    exported: tuple[Search, Path], tmp_path: Path
) -> None:
    search, folder = exported
    moved = tmp_path / "elsewhere"
    shutil.copytree(folder, moved)
    block = "import sys, runpy; sys.modules['toprung'] = None; sys.argv = sys.argv[1:]; "
    code = block + "runpy.run_path(sys.argv[0], run_name='__main__')"
    ran = subprocess.run(
        [sys.executable, "-c", code, str(moved / "predict.py"), *TEXTS],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    rows = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [row["answer"] for row in rows] == search.predict(TEXTS)
    found = [list(row["probabilities"].values()) for row in rows]
    np.testing.assert_allclose(found, search.predict_proba(TEXTS), atol=2e-5)


def test_the_script_answers_more_rows_than_it_takes_at_once_and_none(
    exported: tuple[Search, Path],
) -> None:
    search, folder = exported
    texts = [f"{text} {number}" for number in range(9) for text in TEXTS]
    assert len(texts) > AT_ONCE
    loaded = Ensemble(folder)
    assert loaded.predict(texts) == search.predict(texts)
    assert loaded.predict([]) == []
    assert loaded.predict_proba([]).shape == (0, 15)


def test_every_encoder_is_a_whole_model_of_transformers(exported: tuple[Search, Path]) -> None:
    _, folder = exported
    for member in (folder / "members").iterdir():
        model, found = AutoModel.from_pretrained(member / "encoder", output_loading_info=True)
        assert not [name for name in found["missing_keys"] if "pooler" not in name]
        assert model.config.num_hidden_layers == 1
        assert not list(member.rglob("*.bin"))


def test_an_adapter_gives_with_its_backbone_what_the_merged_encoder_gives(
    exported: tuple[Search, Path],
) -> None:
    _, folder = exported
    adapters = sorted(folder.glob("members/*/adapter"))
    assert adapters
    loaded = load_backbone(find_card("minilm"))
    for adapter in adapters:
        said = json.loads((adapter / "adapter_config.json").read_text())
        assert said["base_model_name_or_path"] == "sentence-transformers/all-MiniLM-L6-v2"
        base = AutoModel.from_pretrained(loaded.folder, num_hidden_layers=1)
        peft = PeftModel.from_pretrained(base, adapter).eval()
        merged = AutoModel.from_pretrained(adapter.parent / "encoder").eval()
        batch = loaded.tokenizer(TEXTS, padding=True, return_tensors="pt")
        with torch.inference_mode():
            torch.testing.assert_close(
                peft(**batch).last_hidden_state,
                merged(**batch).last_hidden_state,
                atol=1e-5,
                rtol=1e-4,
            )


def test_a_member_with_cls_and_a_linear_head_is_a_pipeline(of_cls: Search) -> None:
    folder, _ = export(of_cls.folder, "huggingface")
    classifiers = sorted(folder.glob("members/*/classifier"))
    members = of_cls.ensemble().members
    assert classifiers
    assert [path.parent.name for path in classifiers] == sorted(members)
    for path in classifiers:
        member = members[path.parent.name]
        expected = [member.label_names[i] for i in member.logits(TEXTS).argmax(axis=1)]
        answers = pipeline("text-classification", model=str(path), device="cpu")(TEXTS)
        assert [answer["label"] for answer in answers] == expected


def test_a_member_of_another_pooling_has_no_classifier(exported: tuple[Search, Path]) -> None:
    _, folder = exported
    said = json.loads((folder / "ensemble.json").read_text())
    fitting = [m["trial"] for m in said["members"] if m["config"]["pooling"] == "cls"]
    assert len(fitting) < len(said["members"])
    assert [path.parent.name for path in folder.glob("members/*/classifier")] == sorted(fitting)


def test_a_classifier_that_computes_something_else_is_not_exported(
    of_cls: Search, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "tiny"
    shutil.copytree(of_cls.folder.root, copy, ignore=shutil.ignore_patterns("export"))
    whole = Member.logits
    monkeypatch.setattr(Member, "logits", lambda self, texts: whole(self, texts) + 0.01)
    with pytest.raises(FixEnvironment, match="classifier: its logits differ from the member's by"):
        export(Folder(copy), "huggingface")
    assert not (copy / "export" / "huggingface").exists()


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("bert", {"num_hidden_layers": 1, "intermediate_size": 16}),
        ("roberta", {"num_hidden_layers": 1, "intermediate_size": 16}),
        ("electra", {"num_hidden_layers": 1, "intermediate_size": 16, "embedding_size": 8}),
        ("distilbert", {"n_layers": 1, "hidden_dim": 16}),
    ],
)
@pytest.mark.parametrize("many", [False, True])
def test_transformers_own_classes_compute_a_linear_head(
    kind: str, options: dict[str, int], many: bool
) -> None:
    sizes = {"dim": 8, "n_heads": 2} if kind == "distilbert" else {}
    plain = {"hidden_size": 8, "num_attention_heads": 2}
    config = AutoConfig.for_model(kind, vocab_size=50, **(sizes or plain), **options)
    torch.manual_seed(3)
    encoder = AutoModel.from_config(config).eval()
    head = {"head.score.weight": torch.randn(3, 8), "head.score.bias": torch.randn(3)}
    model: Any = as_sequence_classifier(
        Merged(encoder, head, {}, {}, None, {}), ["a", "b", "c"], many=many
    )
    ids = torch.randint(5, 50, (4, 6))
    with torch.inference_mode():
        expected = encoder(ids).last_hidden_state[:, 0] @ head["head.score.weight"].T
        found = model(ids).logits - head["head.score.bias"]
    torch.testing.assert_close(found, expected, atol=2e-4, rtol=1e-4)
    assert model.config.id2label[1] == "b"


def test_the_model_card_has_metadata_and_escapes_what_users_wrote(
    exported: tuple[Search, Path],
) -> None:
    _, folder = exported
    text = (folder / "README.md").read_text()
    head = yaml.safe_load(text.split("---")[1])
    said = json.loads((folder / "ensemble.json").read_text())
    metric = head["model-index"][0]["results"][0]["metrics"][0]
    assert metric == {"type": "macro_f1", "value": said["test"]["value"]}
    assert f"**{said['test']['value']:.4f}**" in text
    assert "## Limits" in text
    assert head["base_model"] == ["sentence-transformers/all-MiniLM-L6-v2"]


def test_a_graph_of_onnx_gives_the_members_logits(exported: tuple[Search, Path]) -> None:
    onnxruntime = pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    search, folder = exported
    root = folder.parents[1]
    ran = CliRunner().invoke(app, ["export", str(root), "--to", "onnx"])
    assert ran.exit_code == 0, ran.output
    for member in search.ensemble().members.values():
        path = root / "export" / "onnx" / "members" / member.trial
        session = onnxruntime.InferenceSession(path / "model.onnx")
        batch = member.tokenizer(TEXTS, padding=True, truncation=True, max_length=16)
        fed = {n: np.array(batch[n], np.int64) for n in ("input_ids", "attention_mask")}
        found = session.run(["logits"], fed)[0]
        np.testing.assert_allclose(found, member.logits(TEXTS), atol=1e-4)


def test_an_unknown_format_and_a_missing_ensemble_are_told(
    exported: tuple[Search, Path], tmp_path: Path
) -> None:
    search, _ = exported
    ran = CliRunner().invoke(app, ["export", str(search.folder.root), "--to", "huggingfacce"])
    assert "Did you mean 'huggingface'? Known: huggingface, onnx." in str(ran.exception)
    copy = tmp_path / "tiny"
    shutil.copytree(search.folder.root, copy, ignore=shutil.ignore_patterns("ensemble", "export"))
    ran = CliRunner().invoke(app, ["export", str(copy)])
    assert "holds no ensemble.json" in str(ran.exception)
