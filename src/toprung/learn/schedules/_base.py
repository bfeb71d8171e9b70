"""The contract of a schedule."""

from __future__ import annotations

from abc import ABC, abstractmethod


class Schedule(ABC):
    """A factor of the learning rate; a function of the share of the largest resource only.

    Rungs do not enter: a trial that is paused and promoted sees the same rates as one that runs
    through.
    """

    @abstractmethod
    def scale(self, progress: float) -> float:
        """Factor of the rate in [0, 1]; ``progress`` goes from 0 after the warm-up to 1."""

    def observe(self, loss: float) -> None:  # noqa: B027
        """Hears the mean training loss of one more hundredth of the largest resource."""

    def state(self) -> dict[str, float]:
        """What must be kept to go on later; numbers only."""
        return {}

    def restore(self, state: dict[str, float]) -> None:  # noqa: B027
        """Goes on from a kept state."""
