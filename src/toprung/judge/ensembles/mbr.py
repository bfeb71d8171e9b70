"""Writes the candidate text that agrees most with those of all members; weights by greed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from toprung.core.errors import GiveUp
from toprung.data.answers import as_texts
from toprung.data.tasks._base import Task
from toprung.judge.consensus import Ballot
from toprung.judge.ensembles._base import Ensemble, Floats, Labels
from toprung.trial.report import Metric

_ROUNDS_A_MEMBER = 3


@dataclass(frozen=True, kw_only=True)
class Mbr(Ensemble):
    """Minimum-Bayes-risk choice among the members' candidates.

    Weights are those of greedy selection with replacement (Caruana et al. 2004): it begins with
    the best single candidate, takes three picks for each member allowed, and keeps the picks up to
    the round with the best metric on the selection split. See ``Ballot`` for the choice itself.

    Attributes:
        members: most distinct candidates that may take part.
    """

    answers: ClassVar[str] = "texts"

    members: int = 5

    def weigh(
        self, logits: Mapping[str, Floats], labels: Labels, metric: Metric, task: Task
    ) -> dict[str, float]:
        if not logits:
            raise GiveUp("No candidate of the ensemble has usable predictions: there is none.")
        contest = _Contest({name: logits[name] for name in sorted(logits)}, labels, metric, task)
        picks: list[str] = []
        best_round, best = 0, float("-inf")
        for number in range(1, _ROUNDS_A_MEMBER * self.members + 1):
            distinct = sorted(set(picks))
            among = distinct if len(distinct) >= self.members else contest.names
            scores = {name: contest.score(Counter([*picks, name])) for name in among}
            picks.append(max(among, key=lambda name: scores[name]))
            if scores[picks[-1]] > best + 1e-12:
                best_round, best = number, scores[picks[-1]]
        counts = Counter(picks[:best_round])
        ordered = sorted(counts, key=lambda name: (-counts[name], name))
        return {name: counts[name] / best_round for name in ordered}


class _Contest:
    """Scores choices of members on rows whose references are known, each choice once."""

    def __init__(
        self, answers: Mapping[str, Any], labels: Labels, metric: Metric, task: Task
    ) -> None:
        self.names = list(answers)
        self._ballot = Ballot(answers, task.agree)
        self._values = [
            _values([references] * len(texts), texts, metric=metric, task=task)
            for references, texts in zip(labels, self._ballot.texts, strict=True)
        ]
        self._known: dict[tuple[tuple[str, float], ...], float] = {}

    def score(self, counts: Mapping[str, int]) -> float:
        """The mean score of what members with these weights would write."""
        total = sum(counts.values())
        weights = {name: count / total for name, count in sorted(counts.items())}
        key = tuple(weights.items())
        if key not in self._known:
            chosen = self._ballot.choose(weights)
            found = [own[place] for own, place in zip(self._values, chosen, strict=True)]
            self._known[key] = float(np.mean(found))
        return self._known[key]


def _values(references: list[Any], texts: list[str], *, metric: Metric, task: Task) -> list[float]:
    rows = as_texts([(text,) for text in texts])
    found = task.row_values(metric.name, rows, as_texts(references))
    assert found is not None, f"{metric.name} is no mean over rows"
    return [metric.score(float(value)) for value in found]
