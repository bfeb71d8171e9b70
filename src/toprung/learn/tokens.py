"""Texts as token ids on disk: tokenised once, mapped into memory by every trial."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_CHUNK = 2048


@dataclass(frozen=True)
class Tokens:
    """Token ids of N texts, one after the other.

    Attributes:
        ids: (T,) int32.
        offsets: (N + 1,) int64; text i is ``ids[offsets[i]:offsets[i + 1]]``.
        key: a hash of texts, tokenizer and longest length; empty where nobody needs it.
    """

    ids: NDArray[np.int32]
    offsets: NDArray[np.int64]
    key: str = ""

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(N,) tokens of each text."""
        return np.diff(self.offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1


def tokenize(tokenizer: Any, texts: Sequence[str], max_length: int) -> Tokens:
    """Tokenises texts with their special tokens, cut to ``max_length``."""
    pieces: list[NDArray[np.int32]] = []
    lengths: list[int] = []
    for start in range(0, len(texts), _CHUNK):
        rows = _encode(tokenizer, texts[start : start + _CHUNK], max_length)
        lengths += [len(row) for row in rows]
        pieces += [np.asarray(row, dtype=np.int32) for row in rows]
    offsets = np.zeros(len(texts) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    ids = np.concatenate(pieces) if pieces else np.zeros(0, dtype=np.int32)
    return Tokens(ids, offsets)


def count_tokens(tokenizer: Any) -> Callable[[Sequence[str]], list[int]]:
    """A function from texts to their whole lengths in tokens, special ones included."""

    def count(texts: Sequence[str]) -> list[int]:
        counts: list[int] = []
        for start in range(0, len(texts), _CHUNK):
            rows = _encode(tokenizer, texts[start : start + _CHUNK], None)
            counts += [len(row) for row in rows]
        return counts

    return count


def cached_tokens(
    cache: Path, tokenizer: Any, tokenizer_sha256: str, texts: Sequence[str], *, max_length: int
) -> Tokens:
    """The tokens of texts, from the cache or made and kept there; memory-mapped.

    The key is a hash of tokenizer, length and texts, so nothing stale can be read. A folder is
    built aside and renamed: of two processes that build it at once, the first wins.
    """
    digest = hashlib.sha256(f"1/{tokenizer_sha256}/{max_length}/{len(texts)}".encode())
    for text in texts:
        data = text.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "little") + data)
    folder = cache / digest.hexdigest()[:32]
    found = _read(folder)
    if found is None:
        _write(folder, tokenize(tokenizer, texts, max_length))
        found = _read(folder)
        assert found is not None, f"{folder} was written and cannot be read"
    return replace(found, key=folder.name)


def _encode(tokenizer: Any, texts: Sequence[str], max_length: int | None) -> list[list[int]]:
    encoded = tokenizer(
        list(texts),
        truncation=max_length is not None,
        max_length=max_length,
        padding=False,
        return_attention_mask=False,
        return_token_type_ids=False,
        verbose=False,
    )
    rows: list[list[int]] = encoded["input_ids"]
    return rows


def _read(folder: Path) -> Tokens | None:
    try:
        offsets = np.load(folder / "offsets.npy", allow_pickle=False)
        if offsets[-1] == 0:
            return Tokens(np.zeros(0, dtype=np.int32), offsets)
        ids = np.load(folder / "ids.npy", mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError, IndexError):
        return None
    return Tokens(ids, offsets) if len(ids) == offsets[-1] else None


def _write(folder: Path, tokens: Tokens) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        for name, array in (("ids", tokens.ids), ("offsets", tokens.offsets)):
            with (aside / f"{name}.npy").open("wb") as file:
                np.save(file, array, allow_pickle=False)
                file.flush()
                os.fsync(file.fileno())
        aside.chmod(0o755)
        if folder.exists() and _read(folder) is None:
            shutil.rmtree(folder, ignore_errors=True)
        try:
            aside.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)
