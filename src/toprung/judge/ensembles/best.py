"""Takes the best single candidate alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from toprung.judge.ensembles._base import Ensemble, Floats, Labels, usable_probabilities
from toprung.judge.ensembles._contest import Contest
from toprung.trial.report import Metric


@dataclass(frozen=True, kw_only=True)
class Best(Ensemble):
    """One member: the candidate with the best score; ties by log-loss, then by name."""

    def weigh(
        self, logits: Mapping[str, Floats], labels: Labels, metric: Metric
    ) -> dict[str, float]:
        contest = Contest(usable_probabilities(logits), labels, metric)
        picked = contest.best_addition(contest.empty(), range(len(contest.names)))
        return {contest.names[picked]: 1.0}
