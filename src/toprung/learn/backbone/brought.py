"""Backbones in somebody's own folder, brought once to each node that lacks the folder."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from toprung.core.files import new_folder, sha256_file
from toprung.learn.backbone.card import Card
from toprung.storage.store import Store, file_of

FOLDER = ".backbones"
_MARK = "config.json"
_FILES = (
    *(_MARK, "*.safetensors", "tokenizer*", "vocab*", "merges.txt", "spm.model"),
    *("special_tokens_map.json", "added_tokens.json"),
)
_brought: dict[str, Path] = {}


def offer(cards: Mapping[str, Card], store: Store) -> dict[str, str]:
    """Puts what lies in local folders on a storage, named by its content; once for all searches.

    Args:
        cards: of the space; those of packages and hubs every node has, or fetches, by itself.
        store: of all results.

    Returns:
        The name that each folder has there, by the card's source.
    """
    offered: dict[str, str] = {}
    for card in cards.values():
        if card.kind != "folder":
            continue
        files = _files(Path(card.source))
        hashes = [f"{file.name} {sha256_file(file)}" for file in files]
        name = hashlib.sha256("\n".join(hashes).encode()).hexdigest()[:32]
        offered[card.source] = name
        # The mark goes last: where it is, all is.
        if not store.has(f"{FOLDER}/{name}/{_MARK}"):
            for file in sorted(files, key=lambda file: file.name == _MARK):
                store.upload(file, f"{FOLDER}/{name}/{file.name}")
    return offered


def bring(offered: Mapping[str, str], store: Store, cache: Path) -> None:
    """Has every offered folder on this node, from its cache where it came before.

    Args:
        offered: as of ``offer``.
        store: of all results.
        cache: of this node.
    """
    for source, name in offered.items():
        if (Path(source) / _MARK).is_file():
            continue
        folder = cache / "backbones" / name
        if not folder.is_dir():
            with new_folder(folder) as aside:
                for key in store.sizes(f"{FOLDER}/{name}"):
                    file = key.rpartition("/")[2]
                    store.download(key, file_of(aside, file))
        _brought[source] = folder


def where_is(source: str) -> Path:
    """The folder of a card's source on this node: its own, or the one that was brought."""
    return _brought.get(source, Path(source))


def _files(folder: Path) -> list[Path]:
    found = {file for pattern in _FILES for file in folder.glob(pattern) if file.is_file()}
    return sorted(found)
