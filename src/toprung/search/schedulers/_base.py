"""The contract of a scheduler: from a report at a rung to a decision with its reason."""

from __future__ import annotations

from abc import ABC, abstractmethod

from toprung.trial.config import Resource
from toprung.trial.decision import Decision, Promotion
from toprung.trial.report import Metric


def rungs(minimum: int, maximum: int, eta: int) -> tuple[int, ...]:
    """The resources at which trials are compared: ``minimum * eta**k``, and ``maximum`` last.

    A rung nearer to ``maximum`` than half a step (by factor: above ``maximum / sqrt(eta)``) is
    left out, because going on from it would buy almost nothing. The lowest rung always stays.

    Args:
        minimum: resource of the lowest rung, at least 1.
        maximum: resource of the last rung.
        eta: reduction factor, at least 2; each rung has ``eta`` times the resource of the last.

    >>> rungs(512, 13824, 3)
    (512, 1536, 4608, 13824)
    >>> rungs(100, 1000, 3)  # 900 is too close to 1000
    (100, 300, 1000)
    >>> rungs(8, 8, 3)
    (8,)
    """
    if minimum < 1 or maximum < minimum or eta < 2:
        raise ValueError(f"no rungs from {minimum} to {maximum} with reduction factor {eta}")
    ladder = [minimum] if minimum < maximum else []
    following = minimum * eta
    while following * following * eta <= maximum * maximum:
        ladder.append(following)
        following *= eta
    return (*ladder, maximum)


class Scheduler(ABC):
    """Decides who trains on. Pure: the same calls in the same order give the same answers.

    Options are the constructor's keywords; ``prepare`` gives the context. Scores are finite and
    higher is better; the driver has examined each report before it comes here.
    """

    def prepare(self, resource: Resource, metric: Metric, *, finalists: int = 0) -> None:
        """Takes the context of the search; called once, before anything else.

        Args:
            resource: with the points of report.
            metric: that trials are ranked by.
            finalists: so many are trained to the last rung when the search is over, whatever
                the scheduler thinks of them; see ``ahead``.

        Raises:
            ValueError: the options do not fit this resource; the message says which and why.
        """
        self.resource = resource
        self.metric = metric
        self.finalists = finalists

    @abstractmethod
    def add(self, trial: str) -> int:
        """A new trial enters; returns its bracket, 0 where there are no brackets."""

    @abstractmethod
    def decide(self, trial: str, resource: int, score: float) -> Decision:
        """What becomes of a running trial that has reached ``resource`` with ``score``."""

    def decides_at(self, resource: int) -> bool:
        """Whether a usable report at ``resource`` may be answered with anything but Continue.

        Trials do not wait for an answer where it can only be one.
        """
        return True

    @abstractmethod
    def promote(self) -> Promotion | None:
        """A paused trial that goes on now, from the highest rung; counts as promoted."""

    def ahead(self) -> Promotion | None:
        """A paused trial that goes on in a slot that would idle, as it may become a finalist.

        Asked only when others run, nothing can be promoted and no new trial will come; counts as
        promoted. None for a scheduler that pauses nobody.
        """
        return None

    @abstractmethod
    def finale(self) -> Promotion | None:
        """Who goes on so that one trial reaches the last rung; None where one already has.

        Asked only when nothing runs, nothing can be promoted and no new trial will come. The
        answer counts as promoted; it is asked again whenever everything stands still again.
        """

    @abstractmethod
    def drop(self, trial: str) -> None:
        """A trial failed or diverged: it is never promoted again. Its scores stay in the rungs."""

    @abstractmethod
    def verdict(self, trial: str) -> str:
        """Why a paused trial was not promoted, in words, for the end of the search."""
