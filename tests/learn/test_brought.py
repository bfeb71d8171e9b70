"""A backbone in a folder of one machine reaches another that lacks the folder, once."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from toprung.learn.backbone.brought import bring, offer
from toprung.learn.backbone.card import Card, find_card
from toprung.learn.backbone.locate import check_backbone
from toprung.storage.store import Store, open_store


@pytest.fixture
def store() -> Store:
    found = open_store("memory://brought")
    found.delete(found.sizes())
    return found


@pytest.fixture
def card(tmp_path: Path) -> Card:
    """Of a folder that only the driver's machine has; nothing in it is loaded here."""
    folder = tmp_path / "own" / "encoder"
    folder.mkdir(parents=True)
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        (folder / name).write_text(f"content of {name}")
    (folder / "pytorch_model.bin").write_text("nobody's business")
    return replace(find_card("minilm"), source=str(folder), sha256=None)


def test_what_the_driver_offers_a_node_has_after_one_fetch(
    card: Card, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offered = offer({"mine": card, "minilm": find_card("minilm")}, store)
    assert list(offered) == [card.source]
    assert {key.rpartition("/")[2] for key in store.sizes()} == {
        "config.json",
        "model.safetensors",
        "tokenizer.json",
    }
    assert offer({"again": card}, store) == offered
    shutil.rmtree(card.source)
    bring(offered, store, tmp_path / "node")
    check_backbone(card)
    fetched = list((tmp_path / "node").rglob("model.safetensors"))
    assert [file.read_text() for file in fetched] == ["content of model.safetensors"]
    monkeypatch.setattr(Store, "download", None)
    bring(offered, store, tmp_path / "node")


def test_a_node_that_has_the_folder_fetches_nothing(
    card: Card, store: Store, tmp_path: Path
) -> None:
    bring(offer({"mine": card}, store), store, tmp_path / "node")
    assert not (tmp_path / "node").exists()
