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
        """Factor of the rate, in [0, 1], at a progress in [0, 1], counted from the end of the warm-up."""

    def observe(self, loss: float) -> None:
        """Hears the mean training loss of one more hundredth of the largest resource."""

    def state(self) -> dict[str, float]:
        """What must be kept to go on later; numbers only."""
        return {}

    def restore(self, state: dict[str, float]) -> None:
        """Goes on from a kept state."""
