"""Minutes of search time so far, all phases together."""

from __future__ import annotations

from dataclasses import dataclass

from toprung.judge.gates._base import Condition, Facts, Measured


@dataclass(frozen=True)
class Minutes(Condition):
    """Time that the search has taken, pauses of the whole search not counted.

    >>> from toprung.trial.report import Metric
    >>> Minutes(at_least=60.0).examine(Facts(Metric("accuracy"), seconds=5400.0))
    Finding(holds=True, words='90.0 minutes of search time is at least 60')
    """

    def measure(self, facts: Facts) -> Measured:
        minutes = facts.seconds / 60
        return Measured(minutes, f"{minutes:.1f} minutes of search time")
