"""The frozen lower layers' output for every text: computed once a node, read by all trials."""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from toprung.learn.batches import Rows, collate
from toprung.learn.device import place
from toprung.learn.tokens import Tokens

Lower = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""From ids and mask, (B, T) each, to the frozen layers' token vectors, (B, T, H)."""

_FORMAT = 2
_BLOCK_TOKENS = 512
_TOKENS_BEFORE_JUDGING = 65536


@dataclass(frozen=True)
class PrefixKey:
    """All that decides the frozen layers' output for a set of texts.

    Attributes:
        backbone: SHA-256 of its weights.
        config: SHA-256 of how they are used.
        layers: how many of the lowest layers are frozen.
        tokens: the key of the tokens, which holds texts, tokenizer and longest length.
        dtype: that the vectors are kept in.
        threads: of torch; they decide the last bits of sums.
        device: kind of device that computes them.
    """

    backbone: str
    config: str
    layers: int
    tokens: str
    dtype: torch.dtype
    threads: int
    device: str = "cpu"

    def name(self) -> str:
        """A folder's name; of another torch, nothing is read."""
        facts = (
            _FORMAT,
            self.backbone,
            self.config,
            self.layers,
            self.tokens,
            str(self.dtype),
            self.threads,
            self.device,
            torch.__version__,
        )
        return hashlib.sha256(repr(facts).encode()).hexdigest()[:32]


class Prefix:
    """Token vectors of N texts on disk, mapped into memory, and filled when first asked for.

    The texts are cut into blocks of like length, each computed as a whole by whoever first needs
    a row of it: so the vectors of a text have the same bits in every trial, whatever came before.
    A block is locked while it is computed, by a lock that dies with its process, and marked when
    it is whole: processes share the work, and a killed one loses a block. The files belong to one
    node and one start of it, because only the machine's own memory makes them whole.

    It is exact where the texts do not change and nothing below is trained or draws dropout; a
    ``Run`` uses it only there. Where reading turns out slower than computing, it computes.

    Args:
        folder: of this key, made where it is missing.
        tokens: of the N texts.
        hidden: width of a token's vector.
        dtype: that vectors are kept in, float32 or bfloat16.
        padding: token id.

    Raises:
        OSError: the files cannot be made or mapped.
    """

    def __init__(
        self, folder: Path, tokens: Tokens, *, hidden: int, dtype: torch.dtype, padding: int
    ) -> None:
        self.folder = folder
        self.tokens = tokens
        self.hidden = hidden
        self.dtype = dtype
        self.padding = padding
        folder.mkdir(parents=True, exist_ok=True)
        # Shared for as long as this process has the files open: nobody may evict them.
        self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        fcntl.flock(self._lock, fcntl.LOCK_SH)
        # A file of its own: NFS makes of a flock a lock of every byte, and would wait for it here.
        self._turns = os.open(folder / "turns", os.O_RDWR | os.O_CREAT, 0o644)
        self._block_of, self._blocks = _cut(tokens.lengths)
        kind = np.int16 if dtype == torch.bfloat16 else np.float32
        total = int(tokens.offsets[-1])
        self._states = _mapped(folder / "states", kind, (total, hidden))
        self._whole = _mapped(folder / "whole", np.uint8, (len(self._blocks),))
        # Written through descriptors: a full disk is then an error, and not a fatal signal.
        self._states_file = os.open(folder / "states", os.O_WRONLY)
        self._whole_file = os.open(folder / "whole", os.O_WRONLY)
        os.utime(folder)
        self.computed, self.read = _Pace(), _Pace()

    def __del__(self) -> None:
        for name in ("_lock", "_turns", "_states_file", "_whole_file"):
            if name in self.__dict__:
                os.close(self.__dict__[name])

    @property
    def pays(self) -> bool:
        """Whether reading is quicker than computing, as far as both were measured here."""
        return not (
            min(self.computed.tokens, self.read.tokens) >= _TOKENS_BEFORE_JUDGING
            and self.read.seconds_a_token > self.computed.seconds_a_token
        )

    def take(self, rows: Rows, lower: Lower, device: torch.device) -> torch.Tensor:
        """Vectors of rows, padded with zeros to the longest: (B, T, H) in the kept dtype.

        Args:
            rows: (B,) which texts.
            lower: computes blocks that nobody has computed yet.
            device: to put the vectors on, and to compute on.

        Raises:
            OSError: the disk is full.
        """
        for block in np.unique(self._block_of[rows]).tolist():
            if not self._whole[block]:
                self._fill(block, lower, device)
        starts, ends = self.tokens.offsets[rows], self.tokens.offsets[rows + 1]
        width = max(1, int((ends - starts).max()))
        with self.read.timed(int((ends - starts).sum())):
            found = np.zeros((len(rows), width, self.hidden), dtype=self._states.dtype)
            for i, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
                found[i, : end - start] = self._states[start:end]
        return place(torch.from_numpy(found).view(self.dtype), device)

    def vectors(self, start: int, end: int) -> torch.Tensor:
        """Vectors of tokens from ``start`` up to ``end`` of all texts; of computed blocks only."""
        return torch.from_numpy(np.array(self._states[start:end])).view(self.dtype)

    def fill(self, lower: Lower, device: torch.device) -> None:
        """Computes every block that is not there yet."""
        for block in range(len(self._blocks)):
            if not self._whole[block]:
                self._fill(block, lower, device)

    @property
    def block_rows(self) -> float:
        """Rows of a block, on average."""
        return len(self._block_of) / max(1, len(self._blocks))

    @property
    def share(self) -> float:
        """How much of it has been computed, 0 to 1."""
        return float(self._whole.mean()) if len(self._whole) else 1.0

    def _fill(self, block: int, lower: Lower, device: torch.device) -> None:
        fcntl.lockf(self._turns, fcntl.LOCK_EX, 1, block)
        try:
            if self._whole[block]:  # by the process that was waited for
                return
            rows = self._blocks[block]
            starts, ends = self.tokens.offsets[rows], self.tokens.offsets[rows + 1]
            with self.computed.timed(int((ends - starts).sum())):
                states = lower(*collate(self.tokens, rows, self.padding, device)).cpu()
            values = states.view(torch.int16 if self.dtype == torch.bfloat16 else self.dtype)
            size = self.hidden * self.dtype.itemsize
            for row, start, end in zip(values.numpy(), starts.tolist(), ends.tolist(), strict=True):
                _write(self._states_file, row[: end - start], start * size)
            _write(self._whole_file, np.ones(1, dtype=np.uint8), block)
        finally:
            fcntl.lockf(self._turns, fcntl.LOCK_UN, 1, block)


@dataclass
class _Pace:
    """How long so many tokens took."""

    tokens: int = 0
    seconds: float = 0.0

    @property
    def seconds_a_token(self) -> float:
        return self.seconds / max(1, self.tokens)

    @contextmanager
    def timed(self, tokens: int) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.seconds += time.perf_counter() - began
        self.tokens += tokens


def _cut(lengths: NDArray[np.int64]) -> tuple[NDArray[np.int64], list[Rows]]:
    """Blocks of rows of like length, longest first, and the block of each row."""
    order = np.argsort(-lengths, kind="stable")
    blocks: list[Rows] = []
    start = 0
    while start < len(order):
        size = max(1, _BLOCK_TOKENS // max(1, int(lengths[order[start]])))
        blocks.append(order[start : start + size])
        start += size
    block_of = np.zeros(len(lengths), dtype=np.int64)
    for number, rows in enumerate(blocks):
        block_of[rows] = number
    return block_of, blocks


def _mapped(path: Path, kind: type, shape: tuple[int, ...]) -> NDArray[Any]:
    """A file of zeros, sparse until written to, mapped into memory for reading."""
    size = int(np.prod(shape)) * np.dtype(kind).itemsize
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if os.fstat(descriptor).st_size != size:
            os.ftruncate(descriptor, size)
    finally:
        os.close(descriptor)
    return np.asarray(np.memmap(path, dtype=kind, mode="r", shape=shape))


def _write(descriptor: int, values: NDArray[Any], offset: int) -> None:
    data = np.ascontiguousarray(values).data.cast("B")
    while data:
        written = os.pwrite(descriptor, data, offset)
        data, offset = data[written:], offset + written
