"""Loads a card's encoder and tokenizer once a process, its weights checked and read-only."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoModel, AutoModelForSeq2SeqLM, AutoTokenizer
from transformers.utils import logging as transformers_logging

from toprung.core.errors import FixEnvironment
from toprung.learn.backbone.card import Card
from toprung.learn.backbone.folder import check_folder, check_tokenizer, unreadable
from toprung.learn.backbone.locate import Loaded, verify

_TRIED = ["", "a b.", "\u00e9\u4ed6 \U0001f381 \u202e x" * 9]
"""What some tokenizers fail over that were read without complaint: words that they do not know."""


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


def load_tokenizer(folder: Path, encoder: Any) -> Any:
    """The tokenizer in a folder, without a network and without remote code.

    Args:
        folder: that holds it.
        encoder: of transformers; it must have a vector for every token.

    Raises:
        FixEnvironment: there is none, none of transformers' own, or one for another encoder.
    """
    check_tokenizer(folder)
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
        tried = tokenizer(_TRIED, truncation=True, max_length=8, verbose=False)["input_ids"]
    # What transformers raises over foreign files may be anything; the library of tokenizers also
    # panics, which is no Exception.
    except BaseException as error:
        if isinstance(error, Exception) or type(error).__name__ == "PanicException":
            raise FixEnvironment(unreadable(folder, error)) from error
        raise
    # What stands around every text may be an id that no word has.
    highest = max([*tokenizer.get_vocab().values(), *chain.from_iterable(tried)], default=0)
    known = encoder.get_input_embeddings().num_embeddings
    if highest >= known:
        raise FixEnvironment(
            f"{folder}: the tokenizer has a token with the id {highest:,}, and the encoder has "
            f"vectors for {known:,}. They do not belong together; save both again."
        )
    return tokenizer


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


@lru_cache(maxsize=4)
def _load(
    source: str, revision: str | None, expected: str | None, device: str, *, whole: bool
) -> Loaded:
    folder, found = verify(source, revision, expected)
    with quietly():
        encoder = _read_encoder(folder, AutoModelForSeq2SeqLM if whole else AutoModel)
        tokenizer = load_tokenizer(folder, encoder)
    commit = folder.name if not Path(source).is_absolute() and ":" not in source else None
    return Loaded(
        encoder=encoder.to(device),
        tokenizer=tokenizer,
        sha256=found,
        tokenizer_sha256=hash_tokenizer(tokenizer),
        folder=folder,
        revision=revision or commit,
        config_sha256=_hash_config(encoder),
    )


def _hash_config(encoder: Any) -> str:
    """A hash of how the weights are used: all of the config but where it was read."""
    facts = {k: v for k, v in encoder.config.to_dict().items() if k != "_name_or_path"}
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()


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
