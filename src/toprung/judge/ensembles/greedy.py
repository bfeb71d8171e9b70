"""Adds the candidate that helps most, again and again; weights are how often each was taken."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from toprung.data.tasks._base import Task
from toprung.judge.ensembles._base import (
    Blend,
    Floats,
    Labels,
    blend,
    usable_probabilities,
)
from toprung.judge.ensembles._contest import Contest
from toprung.trial.report import Metric

_ROUNDS_A_MEMBER = 5


@dataclass(frozen=True, kw_only=True)
class Greedy(Blend):
    """Greedy selection with replacement.

    It begins with the best single candidate and takes five picks for each member allowed; the
    picks up to the round with the best score are kept. The first round is the best single
    candidate alone, so the ensemble never scores worse than it on the selection split. Ties are
    broken by log-loss, then by name, and of equal rounds the one with the lower log-loss wins.

    Attributes:
        members: most distinct candidates that may take part.

    Source: Caruana et al. 2004, "Ensemble Selection from Libraries of Models".

    >>> import numpy as np
    >>> from toprung.data.tasks.single_label import SingleLabel
    >>> logits = {"a": np.array([[2.0, 0.0], [2.0, 0.0]]), "b": np.array([[0.0, 1.0], [0.0, 9.0]])}
    >>> Greedy(members=2).weigh(logits, np.array([0, 1]), Metric("accuracy"), SingleLabel())
    {'b': 0.6, 'a': 0.4}
    """

    members: int = 5

    def weigh(
        self, logits: Mapping[str, Floats], labels: Labels, metric: Metric, task: Task
    ) -> dict[str, float]:
        probabilities = usable_probabilities(logits, task)
        contest = Contest(probabilities, labels, metric, task)
        total, picks = contest.empty(), list[int]()
        best_round, best = 0, (float("-inf"), float("-inf"))
        for number in range(1, _ROUNDS_A_MEMBER * self.members + 1):
            distinct = sorted(set(picks))
            full = len(distinct) >= self.members
            among = distinct if full else range(len(contest.names))
            picked = contest.best_addition(total, number - 1, among)
            picks.append(picked)
            total = contest.add(total, picked)
            reached = (round(contest.score(total, number), 12), -contest.log_loss(total, number))
            if reached > best:
                best_round, best = number, reached
        counts = Counter(contest.names[picked] for picked in picks[:best_round])
        ordered = sorted(counts, key=lambda name: (-counts[name], name))
        weights = {name: counts[name] / best_round for name in ordered}
        single = contest.names[picks[0]]
        blended = blend(logits, weights, task)
        # Rounds are scored in 32 bits; a row whose classes tie may fall otherwise in 64.
        if contest.score(blended.T, 1) < contest.score(probabilities[single].T, 1):
            return {single: 1.0}
        return weights
