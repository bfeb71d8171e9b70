"""Windows of several modalities: for each an array by sample, step, channel."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Shape = tuple[int, int]
"""Steps and channels of a modality."""


@dataclass(frozen=True, eq=False)
class Series:
    """N windows; a row of NaN only, or an array that is not there, is a missing modality.

    Attributes:
        arrays: (N, T, C) float32 by modality; T and C may differ between modalities.

    >>> Series({"acc": np.zeros((2, 5, 3), np.float32)}).shapes
    {'acc': (5, 3)}
    """

    arrays: Mapping[str, Array]

    def __post_init__(self) -> None:
        if not self.arrays:
            raise ValueError("there is no modality")
        counts = {name: len(array) for name, array in self.arrays.items()}
        if len(set(counts.values())) > 1 or any(a.ndim != 3 for a in self.arrays.values()):
            raise ValueError(f"the modalities are not all (N, T, C) of one N: {counts}")

    def __len__(self) -> int:
        return len(next(iter(self.arrays.values())))

    @property
    def shapes(self) -> dict[str, Shape]:
        """Steps and channels of each modality."""
        return {name: (a.shape[1], a.shape[2]) for name, a in self.arrays.items()}

    def keep(self, rows: Sequence[int]) -> Series:
        """The rows of those indices, in that order."""
        chosen = np.asarray(rows, dtype=np.int64)
        return Series({name: array[chosen] for name, array in self.arrays.items()})

    def present(self, modality: str) -> NDArray[np.bool_]:
        """(N,) whether a row has the modality."""
        if modality not in self.arrays:
            return np.zeros(len(self), dtype=bool)
        return np.asarray(~np.isnan(self.arrays[modality]).all(axis=(1, 2)))

    def keys(self) -> list[bytes]:
        """Equal for rows of equal bits; 16 bytes each."""
        found = [hashlib.blake2b(digest_size=16) for _ in range(len(self))]
        for array in self.arrays.values():
            for digest, row in zip(found, np.ascontiguousarray(array), strict=True):
                digest.update(row.tobytes())
        return [digest.digest() for digest in found]


def join(parts: Sequence[Series]) -> Series:
    """The rows of several parts, one after the other; all have the modalities of the first."""
    names = parts[0].arrays
    return Series({name: np.concatenate([part.arrays[name] for part in parts]) for name in names})


Content = Sequence[str] | Series
"""What a model reads of N rows: texts, or windows."""
