"""The contract of a searcher: what was seen so far in, the next configuration out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from toprung.trial.decision import State
from toprung.trial.history import TrialRecord
from toprung.trial.report import Metric
from toprung.trial.space import Scalar, Space, Values

Cost = Callable[[Values], float]
"""What training a configuration takes, in any unit; the same whenever it is asked."""


@dataclass(frozen=True)
class Observation:
    """What is known of a trial.

    Attributes:
        trial: id.
        values: its configuration.
        scores: from resource to score, higher is better; finite.
        state: where the trial stands.
    """

    trial: str
    values: Values
    scores: Mapping[int, float]
    state: State

    @classmethod
    def of(cls, record: TrialRecord, metric: Metric) -> Observation:
        """What the record tells of its trial."""
        config = record.config
        scores = {r.resource: metric.rate(r.metrics) for r in record.usable(metric)}
        return cls(config.trial, config.values, scores, record.state)


class Searcher(ABC):
    """Suggests configurations. Replay-proof: nothing but its arguments shapes a suggestion.

    The suggestion for trial ``n`` is a function of space, seed, ``n`` and the observations, so a
    searcher that is rebuilt from a journal goes on exactly like the one that wrote it. Options
    are the constructor's keywords; ``prepare`` gives the context.
    """

    def prepare(
        self,
        space: Space,
        seed: int,
        first: Sequence[Values] = (),
        *,
        cost: Cost | None = None,
    ) -> None:
        """Takes the context of the search; called once, before anything else.

        Args:
            space: to search in.
            seed: of the search.
            first: configurations to try before any of the searcher's own.
            cost: what configurations cost beside each other; None where that is not known.
        """
        self.space = space
        self.seed = seed
        self.first = tuple(dict(values) for values in first)
        self.cost = cost
        self.observations: dict[str, Observation] = {}

    def suggest(self, number: int) -> dict[str, Scalar] | None:
        """The configuration of the ``number``-th trial, from 1; None where none is left."""
        if number <= len(self.first):
            return dict(self.first[number - 1])
        return self.propose(number)

    def source(self, number: int) -> str:
        """Who the ``number``-th configuration comes from: ``first`` or the searcher's name."""
        return "first" if number <= len(self.first) else type(self).__module__.rpartition(".")[2]

    def observe(self, observation: Observation) -> None:
        """Takes the latest state of a trial; it replaces what was known of that trial."""
        self.observations[observation.trial] = observation

    @abstractmethod
    def propose(self, number: int) -> dict[str, Scalar] | None:
        """The searcher's own configuration for a trial; ``first`` has been dealt with."""


def identity(values: Values) -> tuple[tuple[str, str, Scalar], ...]:
    """What makes two configurations the same; tells 1 from True and from 1.0.

    >>> identity({"a": 1}) == identity({"a": True})
    False
    """
    return tuple(sorted((name, type(v).__name__, v) for name, v in values.items()))
