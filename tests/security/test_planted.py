"""Planted pickles, tags, code and paths: none of them fires."""

from __future__ import annotations

import hashlib
import json
import pickle
import shutil
import struct
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from toprung import Ensemble
from toprung.api import Search
from toprung.cli.main import app
from toprung.core.errors import FixData, FixEnvironment, FixSpec, ToprungError
from toprung.data.load import load_dataset
from toprung.data.read_unlabelled import read_unlabelled
from toprung.data.source import DataSource
from toprung.learn.backbone.card import find_card
from toprung.learn.backbone.load import load_backbone
from toprung.learn.checkpoint import newest_checkpoint
from toprung.spec.load import parse_spec

Payloads = SimpleNamespace
SPEC = b"task: single_label\ndata: {corpus: tickets}\nspace: {backbone: minilm}\n"


def change(file: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    said = json.loads(file.read_text(encoding="utf-8"))
    edit(said)
    file.write_text(json.dumps(said), encoding="utf-8")


def predict(results: Path) -> str:
    """What ``toprung predict`` says of a spoiled search; never a traceback, never an answer."""
    ran = CliRunner().invoke(app, ["predict", str(results), "-"], input='{"text": "late"}\n')
    assert isinstance(ran.exception, ToprungError), ran.exception
    return str(ran.exception)


def test_the_canary_sings_where_a_pickle_is_really_loaded(
    payloads: Payloads, tmp_path: Path
) -> None:

    pickle.loads(payloads.pickled())
    assert (tmp_path / "canary").exists()
    (tmp_path / "canary").unlink()


# ---- YAML


@pytest.mark.parametrize("number", range(11))
def test_tags_and_tricks_of_yaml_do_nothing_in_a_spec(payloads: Payloads, number: int) -> None:
    bomb = payloads.yaml_bombs()[number]
    for data in (bomb, SPEC.replace(b"minilm", bomb)):
        with pytest.raises(FixSpec):
            parse_spec(data, path="x.yaml")
    with suppress(FixSpec):  # a day that no month has is a name like any other
        parse_spec(SPEC + b"name: " + bomb, path="x.yaml")


@pytest.mark.parametrize("number", range(11))
def test_tags_and_tricks_of_yaml_do_nothing_in_a_card(
    payloads: Payloads, tmp_path: Path, number: int
) -> None:
    bomb = payloads.yaml_bombs()[number]
    for data in (bomb, b"source: bert-base-uncased\nlayers: " + bomb):
        (tmp_path / "card.yaml").write_bytes(data)
        with pytest.raises(FixSpec):
            find_card("card.yaml", tmp_path)


@pytest.mark.parametrize(
    "line",
    [
        "trust_remote_code: true",
        "_target_: os.system",
        "__class__: os.system",
        "plugins: [evil]",
        "import: os",
    ],
)
def test_a_spec_has_no_key_that_runs_code(line: str) -> None:
    with pytest.raises(FixSpec, match="no key"):
        parse_spec(SPEC + line.encode(), path="x.yaml")
    inside = SPEC.replace(b"{backbone: minilm}", f"{{backbone: {{minilm: {{{line}}}}}}}".encode())
    with pytest.raises(FixSpec, match="no option"):
        parse_spec(inside, path="x.yaml")


# ---- data


def test_objects_in_an_npz_are_never_unpickled(payloads: Payloads, tmp_path: Path) -> None:
    objects = np.empty(2, dtype=object)
    objects[:] = [payloads.Bomb(), payloads.Bomb()]
    np.savez(tmp_path / "x.npz", acc=objects)
    with pytest.raises(FixData, match="never unpickled"):
        read_unlabelled(tmp_path / "x.npz", {"acc": (1, 1)})
    with zipfile.ZipFile(tmp_path / "y.npz", "w") as archive:
        archive.writestr("acc.npy", payloads.pickled())
    with pytest.raises(FixData, match="is no array"):
        read_unlabelled(tmp_path / "y.npz", {"acc": (1, 1)})


@pytest.mark.parametrize("name", ["x.npz", "x.csv", "x.jsonl", "x.json", "x.parquet", "x.tsv"])
def test_a_pickle_under_the_name_of_data_is_told_as_what_it_is_not(
    payloads: Payloads, tmp_path: Path, name: str
) -> None:
    (tmp_path / name).write_bytes(payloads.pickled())
    task = "series" if name.endswith("npz") else "single_label"
    with pytest.raises(FixData):
        load_dataset(DataSource(train=str(tmp_path / name), task=task), 1)


def test_an_extension_type_of_arrow_does_not_bring_its_pickle(
    payloads: Payloads, tmp_path: Path
) -> None:
    """CVE-2023-47248: such a type once unpickled what the schema's metadata holds."""
    meta = {
        "ARROW:extension:name": "arrow.py_extension_type",
        "ARROW:extension:metadata": payloads.pickled(),
    }
    schema = pa.schema(
        [pa.field("text", pa.string(), metadata=meta), pa.field("label", pa.string())]
    )
    rows = pa.table(
        {"text": [f"x {n}" for n in range(40)], "label": ["a", "b"] * 20}, schema=schema
    )
    pq.write_table(rows, tmp_path / "x.parquet")
    source = DataSource(train=str(tmp_path / "x.parquet"))
    assert load_dataset(source, 1).label_names == ("a", "b")


@pytest.mark.parametrize("name", ["../outside", "/etc", "a/../../outside", "file:///etc", "..", ""])
def test_a_saved_data_set_names_no_files_elsewhere(tmp_path: Path, name: str) -> None:
    datasets = pytest.importorskip("datasets")
    rows = {"text": [f"x {n}" for n in range(40)], "label": ["a", "b"] * 20}
    datasets.DatasetDict({"train": datasets.Dataset.from_dict(rows)}).save_to_disk(
        tmp_path / "rows"
    )
    source = DataSource(path=str(tmp_path / "rows"))
    load_dataset(source, 1)
    state = tmp_path / "rows" / "train" / "state.json"
    whole = state.read_text()
    change(state, lambda said: said["_data_files"][0].update(filename=name))
    with pytest.raises(FixData, match="saved data set cannot be read"):
        load_dataset(source, 1)
    state.write_text(whole)
    change(
        tmp_path / "rows" / "dataset_dict.json", lambda said: said.update(splits=["train", name])
    )
    with pytest.raises(FixData, match="saved data set cannot be read"):
        load_dataset(source, 1)


# ---- backbones


def test_code_that_a_backbone_brings_is_not_run(payloads: Payloads, backbone: Path) -> None:
    payloads.plant_code(backbone)
    for name in ("config.json", "tokenizer_config.json"):
        change(backbone / name, lambda said: said.update(auto_map=payloads.AUTO_MAP))
    # A BERT is a class of transformers' own, so that nobody needs the code that it names.
    with suppress(FixEnvironment):
        load_backbone(find_card(str(backbone)))


@pytest.mark.parametrize("kind", ["x", "bert"])
def test_code_of_a_kind_of_its_own_is_refused_with_words(
    payloads: Payloads, backbone: Path, tmp_path: Path, kind: str
) -> None:
    payloads.plant_code(backbone)
    change(
        backbone / "config.json",
        lambda said: said.update(auto_map=payloads.AUTO_MAP, model_type=kind),
    )
    change(backbone / "tokenizer_config.json", lambda said: said.update(tokenizer_class="X"))
    card = {"source": str(backbone), "layers": 2, "hidden": 8, "heads": 2, "parameters": 1}
    lines = [f"{name}: {value}" for name, value in card.items()]
    (tmp_path / "card.yaml").write_text(
        "\n".join([*lines, "max_length: 32", "layers_path: encoder.layer"])
    )
    with pytest.raises(FixEnvironment, match=r"never run|no class of a tokenizer"):
        load_backbone(find_card("card.yaml", tmp_path))


def test_pickled_weights_beside_or_instead_of_safetensors_are_not_read(
    payloads: Payloads, backbone: Path
) -> None:
    payloads.plant_code(backbone)
    lacking, spoiled = (
        Path(shutil.copytree(backbone, backbone.with_name(name))) for name in ("one", "two")
    )
    load_backbone(find_card(str(backbone)))
    (lacking / "model.safetensors").unlink()
    with pytest.raises(FixEnvironment, match=r"no model\.safetensors"):
        load_backbone(find_card(str(lacking)))
    (spoiled / "model.safetensors").write_bytes(payloads.pickled())
    with pytest.raises(FixEnvironment):
        load_backbone(find_card(str(spoiled)))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("transformers_weights", "../other/model.safetensors"),
        ("transformers_weights", "adapter_model.bin"),
        ("quantization_config", {"quant_method": "gptq"}),
    ],
)
def test_a_configuration_does_not_lead_to_other_weights(
    backbone: Path, name: str, value: object
) -> None:
    change(backbone / "config.json", lambda said: said.update({name: value}))
    with pytest.raises(FixEnvironment, match=f"'{name}' is refused"):
        load_backbone(find_card(str(backbone)))


def test_an_adapter_beside_the_weights_is_refused(payloads: Payloads, backbone: Path) -> None:
    payloads.plant_code(backbone)
    (backbone / "adapter_config.json").write_text('{"base_model_name_or_path": "/etc"}')
    with pytest.raises(FixEnvironment, match="adapter"):
        load_backbone(find_card(str(backbone)))


@pytest.mark.parametrize(
    "said",
    [
        {"tokenizer_class": "AutoModel"},
        {"tokenizer_class": "os.system"},
        {"tokenizer_class": ["BertTokenizer"]},
        {"vocab_file": "/etc/passwd"},
        {"merges_file": "../../x"},
        {"init_inputs": ["/etc/passwd"]},
    ],
)
def test_a_tokenizer_names_neither_files_elsewhere_nor_what_is_no_tokenizer(
    backbone: Path, said: dict[str, Any]
) -> None:
    change(backbone / "tokenizer_config.json", lambda kept: kept.update(said))
    with pytest.raises(FixEnvironment, match=r"tokenizer_config\.json"):
        load_backbone(find_card(str(backbone)))


def test_a_card_runs_no_package_but_those_of_shipped_cards_or_of_the_environment(
    payloads: Payloads, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sound: Path
) -> None:

    module = f"{payloads.code()}\ndef get_model_path():\n    return {str(sound / 'backbone')!r}\n"
    (tmp_path / "planted_package.py").write_text(module)
    monkeypatch.syspath_prepend(tmp_path)
    minilm = find_card("minilm")
    card = replace(minilm, source="package:planted_package", sha256=None)
    with pytest.raises(FixEnvironment, match="TOPRUNG_PACKAGES=planted_package"):
        load_backbone(card)
    assert not (tmp_path / "canary").exists()
    monkeypatch.setenv("TOPRUNG_PACKAGES", "other,planted_package")
    load_backbone(card)
    (tmp_path / "canary").unlink()


# ---- ensembles


def reseal(folder: Path) -> None:
    """Makes every hash of an ensemble fit what lies there, as an attacker would."""

    def sha256(file: Path) -> str:
        return hashlib.sha256(file.read_bytes()).hexdigest()

    for member in (folder / "members").iterdir():
        if (member / "member.json").is_file():
            weights = sha256(member / "weights.safetensors")
            change(
                member / "member.json", lambda said, new=weights: said.update(weights_sha256=new)
            )

    def seal(said: dict[str, Any]) -> None:
        for entry in said["members"]:
            place = folder / "members" / entry["trial"]
            entry["files"] = {
                file.relative_to(place).as_posix(): sha256(file)
                for file in place.rglob("*")
                if file.is_file()
            }

    change(folder / "ensemble.json", seal)


def first_member(results: Path) -> Path:
    return sorted((results / "ensemble" / "members").glob("t*"))[0]


@pytest.mark.parametrize("folder", ["/etc", "../../../elsewhere", "..", "/", "a\0b", ""])
def test_an_ensemble_names_no_backbone_elsewhere(texts: Path, folder: str, sound: Path) -> None:
    change(first_member(texts) / "member.json", lambda said: said.update(backbone_folder=folder))
    reseal(texts / "ensemble")
    assert "no member that toprung wrote" in predict(texts)


def test_an_ensemble_has_its_backbone_with_it_and_takes_none_of_the_machine(
    texts: Path, sound: Path
) -> None:
    def edit(said: dict[str, Any]) -> None:
        said.pop("backbone_folder")
        said["card"]["source"] = str(sound / "backbone")

    change(first_member(texts) / "member.json", edit)
    reseal(texts / "ensemble")
    assert "outside of the ensemble" in predict(texts)


def test_an_ensemble_does_not_have_a_package_run(payloads: Payloads, texts: Path) -> None:
    def edit(said: dict[str, Any]) -> None:
        said.pop("backbone_folder")
        said["card"]["source"] = "package:antigravity"

    change(first_member(texts) / "member.json", edit)
    reseal(texts / "ensemble")
    assert "TOPRUNG_PACKAGES" in predict(texts)


@pytest.mark.parametrize("verb", ["predict", "export"])
def test_code_and_pickles_in_an_ensemble_are_not_run(
    payloads: Payloads, texts: Path, verb: str
) -> None:
    for folder in (first_member(texts), first_member(texts) / "tokenizer"):
        payloads.plant_code(folder)
    for copy in (texts / "ensemble" / "members" / "backbones").iterdir():
        payloads.plant_code(copy)
        change(copy / "config.json", lambda said: said.update(auto_map=payloads.AUTO_MAP))
    said = first_member(texts) / "tokenizer" / "tokenizer_config.json"
    change(said, lambda kept: kept.update(auto_map=payloads.AUTO_MAP))
    reseal(texts / "ensemble")
    rows = "-" if verb == "predict" else "--to=huggingface"
    ran = CliRunner().invoke(app, [verb, str(texts), rows], input='{"text": "late"}\n')
    assert ran.exit_code == 0 or isinstance(ran.exception, ToprungError), ran.exception
    (first_member(texts) / "weights.safetensors").write_bytes(payloads.pickled())
    reseal(texts / "ensemble")
    predict(texts)


VALUES: dict[str, dict[str, Any]] = {
    "a head of a billion": {"head": "mlp", "head.mlp.hidden": 10**9},
    "a head of a million": {"head": "mlp", "head.mlp.hidden": 10**6},
    "a rank of a million": {"adapter": "lora", "adapter.lora.rank": 10**6},
    "an unknown head": {"head": "../evil"},
    "a head that is a list": {"head": ["mlp"]},
    "a head with another option": {"head": "mlp", "head.mlp.__class__": 3},
    "a number that is none": {"learning_rate": "x"},
}


@pytest.mark.parametrize("case", VALUES)
def test_a_member_of_absurd_values_is_refused_before_it_is_made(case: str, texts: Path) -> None:
    change(first_member(texts) / "member.json", lambda said: said["values"].update(VALUES[case]))
    reseal(texts / "ensemble")
    assert predict(texts)


def test_a_member_of_windows_with_a_billion_layers_is_refused(sound: Path, tmp_path: Path) -> None:
    for name, value in (("width", 1 << 19), ("layers", 10**9), ("patch", 1), ("heads", 0)):
        copy = tmp_path / name
        shutil.copytree(sound / "results" / "series" / "ensemble", copy)
        member = sorted((copy / "members").glob("t*"))[0]
        key = f"backbone.transformer.{name}"
        change(member / "member.json", lambda said, k=key, v=value: said["values"].update({k: v}))
        reseal(copy)
        with pytest.raises(ToprungError):
            Ensemble.load(copy)


def test_a_hostile_ensemble_is_not_exported_elsewhere(texts: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    for name in (f"../../../../{outside.name}", str(outside), ".."):
        change(
            texts / "ensemble" / "ensemble.json", lambda s, n=name: s["members"][0].update(trial=n)
        )
        ran = CliRunner().invoke(app, ["export", str(texts)])
        assert isinstance(ran.exception, FixEnvironment), ran.exception
    assert not outside.exists()


# ---- checkpoints and what a search keeps


def test_a_checkpoint_with_a_pickle_in_the_place_of_tensors_is_passed_over(
    payloads: Payloads, texts: Path
) -> None:
    folder = sorted((texts / "trials").glob("t*/checkpoints"))[0]
    newest = sorted(folder.iterdir(), key=lambda path: int(path.name))[-1]
    fingerprint = json.loads((newest / "state.json").read_text())["fingerprint"]
    (newest / "weights.safetensors").write_bytes(payloads.pickled())
    for name in ("optimizer.pt", "training_args.bin", "state.pkl"):
        (newest / name).write_bytes(payloads.pickled())
    found = newest_checkpoint(folder, fingerprint)
    assert found is None or found.state["examples"] < int(newest.name)


def test_pickles_of_ray_in_a_results_folder_are_not_read(payloads: Payloads, texts: Path) -> None:
    for name in ("tuner.pkl", "searcher-state.pkl", "params.pkl", "experiment_state.json"):
        (texts / name).write_bytes(payloads.pickled())
        (texts / "trials" / "t0001" / name).write_bytes(payloads.pickled())
    assert len(Search.attach(str(texts)).leaderboard())


def test_kept_predictions_that_are_objects_are_not_unpickled(
    payloads: Payloads, texts: Path
) -> None:
    objects = np.empty(1, dtype=object)
    objects[0] = payloads.Bomb()
    np.save(texts / "predictions" / "ensemble.npy", objects, allow_pickle=True)
    ran = CliRunner().invoke(app, ["report", str(texts)])
    assert ran.exit_code != 0


def test_tensors_under_odd_names_are_another_models(texts: Path) -> None:
    file = first_member(texts) / "weights.safetensors"
    tensors = load_file(file)
    save_file({f"../../{name}": tensor for name, tensor in tensors.items()}, file)
    reseal(texts / "ensemble")
    assert "another model" in predict(texts)
    file.write_bytes(struct.pack("<Q", 2**50) + b"{")
    reseal(texts / "ensemble")
    assert predict(texts)
