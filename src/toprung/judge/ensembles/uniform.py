"""Gives the best candidates, each taken alone, equal weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from toprung.data.tasks._base import Task
from toprung.judge.ensembles._base import Blend, Floats, Labels, usable_probabilities
from toprung.judge.ensembles._contest import Contest
from toprung.trial.report import Metric


@dataclass(frozen=True, kw_only=True)
class Uniform(Blend):
    """The mean of the best candidates' probabilities.

    Unlike ``greedy`` it may score worse than the best single candidate.

    Attributes:
        members: candidates that take part.
    """

    members: int = 5

    def weigh(
        self, logits: Mapping[str, Floats], labels: Labels, metric: Metric, task: Task
    ) -> dict[str, float]:
        contest = Contest(usable_probabilities(logits, task), labels, metric, task)
        left, chosen = list(range(len(contest.names))), list[str]()
        while left and len(chosen) < self.members:
            picked = contest.best_addition(contest.empty(), 0, left)
            left.remove(picked)
            chosen.append(contest.names[picked])
        return {name: 1 / len(chosen) for name in chosen}
