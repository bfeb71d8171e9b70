"""A rate that falls where the training loss no longer does."""

from __future__ import annotations

import math
from dataclasses import dataclass

from toprung.learn.schedules._base import Schedule


@dataclass
class Plateau(Schedule):
    """Falls by ``factor`` whenever the smoothed training loss stands still for ``patience``.

    The loss is smoothed exponentially, 0.7 old and 0.3 new. It is the training loss, not the
    validation's, so that the rates depend on neither rungs nor evaluations.

    Attributes:
        patience: hundredths of the largest resource without a loss 1 % below the best.
        factor: what the rate is multiplied by then.

    >>> schedule = Plateau(patience=1, factor=0.5)
    >>> for loss in [1.0, 1.0, 1.0]:
    ...     schedule.observe(loss)
    >>> schedule.scale(0.5)
    0.25
    """

    patience: int = 5
    factor: float = 0.5

    def __post_init__(self) -> None:
        self._scale, self._smooth, self._best, self._waited = 1.0, math.inf, math.inf, 0.0

    def scale(self, progress: float) -> float:
        return self._scale

    def observe(self, loss: float) -> None:
        started = math.isfinite(self._smooth)
        self._smooth = 0.7 * self._smooth + 0.3 * loss if started else loss
        if self._smooth < 0.99 * self._best:
            self._best, self._waited = self._smooth, 0.0
            return
        self._waited += 1
        if self._waited >= self.patience:
            self._scale, self._waited = self._scale * self.factor, 0.0

    def state(self) -> dict[str, float]:
        if not math.isfinite(self._smooth):
            return {}
        return {
            "scale": self._scale,
            "smooth": self._smooth,
            "best": self._best,
            "waited": self._waited,
        }

    def restore(self, state: dict[str, float]) -> None:
        if state:
            self._scale, self._smooth = state["scale"], state["smooth"]
            self._best, self._waited = state["best"], state["waited"]
