"""Trials of the phase that failed for good: out of memory, a dead worker, an error."""

from __future__ import annotations

from dataclasses import dataclass

from toprung.judge.gates._base import Condition, Facts, Measured


@dataclass(frozen=True)
class Crashes(Condition):
    """Counts trials after their retries; a loss that diverges is no crash.

    >>> from toprung.trial.report import Metric
    >>> facts = Facts(Metric("accuracy"), trials=4, crashes=["out of memory"])
    >>> Crashes(at_least=1).examine(facts)
    Finding(holds=True, words='1 of 4 trials crashed (out of memory), which is at least 1')
    """

    def measure(self, facts: Facts) -> Measured:
        count = len(facts.crashes)
        said = f" ({facts.crashes[-1]})" if facts.crashes else ""
        return Measured(count, f"{count} of {facts.trials} trials crashed{said}, which")
