"""Predictions in few bytes: of each row the likeliest classes, and the true one's share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from toprung.data.metrics import log_softmax

KEPT = 6
_LARGEST = 16.0  # nats; less likely classes count as this unlikely

Bytes = NDArray[np.uint8]


def pack(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> Bytes:
    """Scores (N, C) as (N, 2 K + 1) bytes, K = min(C, 6).

    Classes by falling probability, then their log-probabilities, then that of the true class;
    a log-probability is kept as ``255 * sqrt(-lp / 16)``, so steps are finest near certainty.

    >>> packed = pack(np.array([[0.0, 3.0]], np.float32), np.array([0]))
    >>> unpack(packed, 2).round(3).tolist()
    [[0.048, 0.952]]
    """
    likelihoods = log_softmax(logits)
    kept = min(KEPT, logits.shape[1])
    order = np.argsort(-likelihoods, axis=1, kind="stable")[:, :kept]
    top = np.take_along_axis(likelihoods, order, axis=1)
    true = np.take_along_axis(likelihoods, labels[:, None], axis=1)
    levels = 255 * np.sqrt(np.clip(-np.hstack([top, true]), 0, _LARGEST) / _LARGEST)
    return np.hstack([order, levels.round()]).astype(np.uint8)


def unpack(packed: Bytes, classes: int) -> NDArray[np.float64]:
    """Probabilities (N, C); what the kept classes leave over is shared evenly by the others."""
    kept = min(KEPT, classes)
    order = packed[:, :kept].astype(np.int64)
    top = np.exp(-_LARGEST * (packed[:, kept : 2 * kept] / 255.0) ** 2)
    rest = np.clip(1.0 - top.sum(axis=1), 0.0, 1.0) / max(1, classes - kept)
    found = np.repeat(rest[:, None], classes, axis=1)
    np.put_along_axis(found, order, top, axis=1)
    normed: NDArray[np.float64] = found / found.sum(axis=1, keepdims=True)
    return normed


def read_arrays(path: Path) -> dict[str, NDArray[np.generic]]:
    """The arrays of an .npz file by name; none where there is no file."""
    if not path.exists():
        return {}
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def write_arrays(path: Path, arrays: dict[str, NDArray[np.generic]]) -> None:
    """Writes an .npz file that appears whole."""
    aside = path.with_name(f".{path.name}.tmp")
    with aside.open("wb") as file:
        np.savez_compressed(file, **dict(sorted(arrays.items())))
    aside.replace(path)
