"""A trial's own random stream, laid over torch's global one while the trial computes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


class Streams:
    """Torch's generators as one trial knows them: seeded once, kept between its turns.

    Dropout and initial weights draw from torch's global generators. Inside of ``turn`` these are
    the trial's; outside they are as they were, so that trials that take turns in one process do
    not disturb each other. The order of rows draws from generators of its own, see ``Batches``,
    and nothing draws from Python's or NumPy's global ones.

    Args:
        seed: of the stream.
        device: whose generator is kept beside the CPU's.

    >>> def draw(streams):
    ...     with streams.turn():
    ...         return float(torch.rand(1))
    >>> one, other = Streams(1, torch.device("cpu")), Streams(1, torch.device("cpu"))
    >>> first, second = draw(one), draw(one)
    >>> first == draw(other) and second == draw(other) and first != second
    True
    """

    def __init__(self, seed: int, device: torch.device) -> None:
        self._seed = seed
        self._device = device
        self._kept: dict[str, torch.Tensor] | None = None

    @contextmanager
    def turn(self) -> Iterator[None]:
        """The trial's stream is torch's until the block ends, however it ends."""
        outer = self._read()
        if self._kept is None:
            torch.manual_seed(self._seed)
        else:
            self._write(self._kept)
        try:
            yield
        finally:
            self._kept = self._read()
            self._write(outer)

    def state(self) -> dict[str, torch.Tensor]:
        """The generators' states within a turn, as named tensors of bytes."""
        return self._read()

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        """The next turn goes on from a kept state."""
        self._kept = dict(state)

    def _read(self) -> dict[str, torch.Tensor]:
        state = {"torch.cpu": torch.get_rng_state()}
        if self._device.type == "cuda":
            state["torch.cuda"] = torch.cuda.get_rng_state(self._device)
        elif self._device.type == "mps":
            state["torch.mps"] = torch.mps.get_rng_state()
        return state

    def _write(self, state: dict[str, torch.Tensor]) -> None:
        torch.set_rng_state(state["torch.cpu"])
        if self._device.type == "cuda" and "torch.cuda" in state:
            torch.cuda.set_rng_state(state["torch.cuda"], self._device)
        elif self._device.type == "mps" and "torch.mps" in state:
            torch.mps.set_rng_state(state["torch.mps"])
