"""The frozen layers' output for all texts in a graphics card's memory, where it fits."""

from __future__ import annotations

from pathlib import Path
from weakref import WeakValueDictionary

import numpy as np
import torch

from toprung.learn.batches import Rows
from toprung.learn.device import place
from toprung.learn.prefix import Prefix
from toprung.learn.tokens import Tokens

_TOKENS_AT_ONCE = 65536


class Held:
    """Token vectors of N texts in a device's memory: rows are gathered there, not copied to it.

    What it gives has the bits of what ``Prefix.take`` gives.

    Args:
        prefix: every block of it computed.
        device: that holds the vectors.
    """

    def __init__(self, prefix: Prefix, device: torch.device) -> None:
        self.tokens: Tokens = prefix.tokens
        self.device = device
        self._total = int(prefix.tokens.offsets[-1])
        shape = (self._total + 1, prefix.hidden)
        self._states = torch.empty(shape, dtype=prefix.dtype, device=device)
        self._states[-1] = 0.0  # stands in for padding
        for start in range(0, self._total, _TOKENS_AT_ONCE):
            end = min(start + _TOKENS_AT_ONCE, self._total)
            self._states[start:end] = place(prefix.vectors(start, end), device)

    def take(self, rows: Rows) -> torch.Tensor:
        """Vectors of rows, padded with zeros to the longest: (B, T, H) in the kept dtype."""
        starts = self.tokens.offsets[rows]
        lengths = self.tokens.offsets[rows + 1] - starts
        column = np.arange(max(1, int(lengths.max())))
        places = np.where(column < lengths[:, None], starts[:, None] + column, self._total)
        return self._states[place(torch.from_numpy(places), self.device)]


_HELD: WeakValueDictionary[tuple[Path, str], Held] = WeakValueDictionary()


def hold(prefix: Prefix, device: torch.device, most_bytes: int) -> Held | None:
    """The vectors of a prefix in a device's memory, one copy for all runs of this process.

    Args:
        prefix: every block of it computed.
        device: that holds the vectors.
        most_bytes: that they may take.

    Returns:
        None where they take more.
    """
    key = (prefix.folder, str(device))
    held = _HELD.get(key)
    if held is None:
        needed = (int(prefix.tokens.offsets[-1]) + 1) * prefix.hidden * prefix.dtype.itemsize
        if needed > most_bytes:
            return None
        held = _HELD[key] = Held(prefix, device)
    return held
