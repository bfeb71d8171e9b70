"""No early stopping: every trial runs to the last rung."""

from __future__ import annotations

from toprung.search.schedulers._base import Scheduler
from toprung.trial.decision import Continue, Decision, Promotion, Stop


class Fifo(Scheduler):
    """Lets every trial train to the largest resource, first come, first served.

    >>> from toprung.trial.config import Resource
    >>> from toprung.trial.report import Metric
    >>> fifo = Fifo()
    >>> fifo.prepare(Resource("epochs", 1, 9), Metric("accuracy"))
    >>> fifo.add("t0001"), fifo.decide("t0001", 1, 0.1)
    (0, Continue(reason='every trial runs to 9 epochs'))
    """

    def add(self, trial: str) -> int:
        return 0

    def decide(self, trial: str, resource: int, score: float) -> Decision:
        unit = self.resource.unit
        if resource < self.resource.max:
            return Continue(f"every trial runs to {self.resource.max} {unit}")
        done = f"completed {resource} {unit} with {self.metric.tell(score)}"
        return Stop(done, completed=True)

    def decides_at(self, resource: int) -> bool:
        return resource >= self.resource.max

    def promote(self) -> Promotion | None:
        return None

    def finale(self) -> Promotion | None:
        return None

    def drop(self, trial: str) -> None:
        """Nothing to forget: no trial waits."""

    def verdict(self, trial: str) -> str:
        return "the search is over"
