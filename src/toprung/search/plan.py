"""What a search is after and when it ends."""

from __future__ import annotations

from dataclasses import dataclass

from toprung.trial.config import Resource
from toprung.trial.report import Metric


@dataclass(frozen=True)
class Plan:
    """The frame that scheduler and searcher work in.

    Attributes:
        metric: that trials are ranked by.
        resource: with the points at which trials report.
        trials: at most as many are suggested.
        seconds: of search time, after which nothing new is begun; None for no limit.
        seed: of the whole search.
        crashes: so many failed trials end it early; None lets it go on whatever fails.
    """

    metric: Metric
    resource: Resource
    trials: int
    seconds: float | None = None
    seed: int = 0
    crashes: int | None = None

    def is_spent(self, seconds: float) -> bool:
        """Whether so much search time is all that there was."""
        return self.seconds is not None and seconds >= self.seconds
