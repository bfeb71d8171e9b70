"""Takes the best single candidate alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from toprung.data.tasks._base import Task
from toprung.judge.ensembles._base import Ensemble, Floats, Labels, usable_probabilities
from toprung.judge.ensembles._contest import Contest
from toprung.trial.report import Metric


@dataclass(frozen=True, kw_only=True)
class Best(Ensemble):
    """One member: the candidate with the best score; ties by log-loss, then by name."""

    def weigh(
        self, logits: Mapping[str, Floats], labels: Labels, metric: Metric, task: Task
    ) -> dict[str, float]:
        contest = Contest(usable_probabilities(logits, task), labels, metric, task)
        picked = contest.best_addition(contest.empty(), 0, range(len(contest.names)))
        return {contest.names[picked]: 1.0}
