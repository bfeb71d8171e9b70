"""ASHA: of all that reach a rung, the best 1 in ``reduction_factor`` go on."""

from __future__ import annotations

import math
from typing import Literal, get_args

from toprung.search.schedulers._base import Scheduler, rungs
from toprung.search.schedulers._rung import Rung, ordinal
from toprung.trial.config import Resource
from toprung.trial.decision import Continue, Decision, Pause, Promotion, Stop
from toprung.trial.report import Metric

Rule = Literal["eager", "promote", "stop"]


class Asha(Scheduler):
    """Asynchronous successive halving, after Li et al. 2020, by one of three rules.

    ``promote`` is the paper's Algorithm 2: a trial pauses at each rung, and goes on as soon as it
    is among the best ⌊n/η⌋ of the n that have reached that rung by then; higher rungs are served
    first. A trial that would be promoted at the very moment it pauses goes on at once.
    Where nobody can be promoted, no new trial will come and others still train, the best that
    waits at the highest rung goes on all the same, until as many have left each rung as there will
    be finalists: these train to the end in any case, and the slot would idle.
    ``eager`` is the same but for the first η - 1 at a rung, of whom the paper lets none go on: here
    the best of them does, so that one trial is trained to the end early.
    ``stop`` never pauses: a trial at a rung goes on if it is among the best max(1, ⌊n/η⌋) of the
    n that have reached it so far, itself among them, and is stopped for good otherwise.
    Under all, of equal scores the one that came earlier ranks higher, so that trials that have
    learned nothing yet and are all alike do not all go on.

    With several brackets, bracket b has the rungs from the b-th upwards, and trials enter the
    brackets in Hyperband's proportions (⌈K/(s+1)·ηˢ⌉ for a bracket with s rungs below its last, K
    rungs in all), spread evenly over the arrivals.

    Source: "A System for Massively Parallel Hyperparameter Tuning", MLSys 2020.

    >>> asha = Asha(reduction_factor=2, rule="stop")
    >>> asha.prepare(Resource("examples", 8, 32), Metric("accuracy"))
    >>> [asha.add(trial) for trial in ("a", "b")]
    [0, 0]
    >>> asha.decide("a", 8, 0.7)
    Continue(reason='rung 8 examples: accuracy 0.7 is 1st of 1; the best 1 goes on')
    >>> asha.decide("b", 8, 0.6)
    Stop(reason='rung 8 examples: accuracy 0.6 is 2nd of 2; the best 1 goes on', completed=False)
    """

    def __init__(
        self, *, reduction_factor: int = 3, rule: Rule = "eager", brackets: int = 1
    ) -> None:
        """States the options.

        Args:
            reduction_factor: η, at least 2: of so many trials at a rung one goes on.
            rule: ``eager`` and ``promote`` pause and promote, ``stop`` decides once.
            brackets: ladders of rungs, each beginning one rung higher than the one before.

        Raises:
            ValueError: an option that no search could use.
        """
        if reduction_factor < 2:
            raise ValueError(f"reduction_factor: {reduction_factor} is below 2")
        if rule not in get_args(Rule):
            raise ValueError(f"rule: {rule!r} is none of {', '.join(get_args(Rule))}")
        if brackets < 1:
            raise ValueError(f"brackets: {brackets} is below 1")
        self.reduction_factor, self.rule, self.brackets = reduction_factor, rule, brackets

    def prepare(self, resource: Resource, metric: Metric, *, finalists: int = 0) -> None:
        super().prepare(resource, metric, finalists=finalists)
        eta = self.reduction_factor
        ladder = rungs(resource.min, resource.max, eta)
        if self.brackets > len(ladder):
            raise ValueError(f"brackets: {self.brackets} is more than the {len(ladder)} rungs")
        missing = [str(rung) for rung in ladder if resource.points and rung not in resource.points]
        if missing:
            raise ValueError(f"no report at rung {', '.join(missing)}")
        self._ladders = [[Rung(r) for r in ladder[b:-1]] for b in range(self.brackets)]
        # Highest rung first; of equal resources the lower bracket first.
        every = [rung for bracket in self._ladders for rung in bracket]
        self._from_top = sorted(every, key=lambda rung: -rung.resource)
        steps = [len(ladder) - b for b in range(self.brackets)]
        self._shares = [math.ceil(len(ladder) / n * eta ** (n - 1)) for n in steps]
        self._owed = [0] * self.brackets
        self._bracket: dict[str, int] = {}
        self._completed = 0

    def add(self, trial: str) -> int:
        # Smooth weighted round robin: whoever is owed most is served, and pays for all.
        self._owed = [owed + share for owed, share in zip(self._owed, self._shares, strict=True)]
        bracket = max(range(self.brackets), key=lambda b: (self._owed[b], -b))
        self._owed[bracket] -= sum(self._shares)
        self._bracket[trial] = bracket
        return bracket

    def decide(self, trial: str, resource: int, score: float) -> Decision:
        unit = self.resource.unit
        if resource >= self.resource.max:
            self._completed += 1
            done = f"completed {resource} {unit} with {self.metric.tell(score)}"
            return Stop(done, completed=True)
        ladder = self._ladders[self._bracket[trial]]
        rung = next((rung for rung in ladder if rung.resource == resource), None)
        if rung is None:
            return Continue(f"between rungs at {resource} {unit}")
        if trial in rung:  # Trained again from below after a failure: it was decided before.
            return Continue(f"rung {resource} {unit} was passed before")
        rung.enter(trial, score)
        return self._stop(trial, rung) if self.rule == "stop" else self._promote(trial, rung)

    def decides_at(self, resource: int) -> bool:
        return resource >= self.resource.max or resource in {r.resource for r in self._from_top}

    def promote(self) -> Promotion | None:
        found = self._promotable()
        if found is None:
            return None
        trial, rung = found
        rung.leave(trial)
        return Promotion(trial, rung.resource, self._words(trial, rung, self._places(rung)))

    def ahead(self) -> Promotion | None:
        if self.rule == "stop":
            return None
        for rung in self._from_top:
            best = rung.best_waiting(len(rung)) if rung.left < self.finalists else None
            if best is not None:
                words = self._words(best, rung, self._places(rung))
                rung.leave(best)
                why = f"a slot is free, and {self.finalists} will be trained to the end"
                return Promotion(best, rung.resource, f"{words}; {why}")
        return None

    def finale(self) -> Promotion | None:
        if self._completed:
            return None
        for rung in self._from_top:
            if self.rule != "stop" and (best := self._best_at(rung.resource)):
                best[1].leave(best[0])
                why = f"{self._words(*best, 0)}; the best of the highest rung climbs to the last"
                return Promotion(best[0], rung.resource, why)
        return None

    def drop(self, trial: str) -> None:
        for rung in self._from_top:
            rung.leave(trial)

    def verdict(self, trial: str) -> str:
        for rung in self._from_top:
            if rung.waits(trial):
                return f"{self._words(trial, rung, self._places(rung))}; the search is over"
        return "the search is over"

    def _stop(self, trial: str, rung: Rung) -> Decision:
        places = self._places(rung)
        reason = self._words(trial, rung, places)
        rung.leave(trial)
        return Continue(reason) if rung.rank(trial) <= places else Stop(reason)

    def _promote(self, trial: str, rung: Rung) -> Decision:
        reason = self._words(trial, rung, self._places(rung))
        found = self._promotable()
        if found is not None and found[0] == trial:
            rung.leave(trial)
            return Continue(reason)
        if rung.rank(trial) <= self._places(rung):
            reason += "; its turn comes after a better placed one"
        return Pause(reason)

    def _places(self, rung: Rung) -> int:
        share = len(rung) // self.reduction_factor
        return share if self.rule == "promote" else max(1, share)

    def _promotable(self) -> tuple[str, Rung] | None:
        """Who is promoted next; nothing changes yet."""
        if self.rule != "stop":
            for rung in self._from_top:
                if trial := rung.best_waiting(self._places(rung)):
                    return trial, rung
        return None

    def _best_at(self, resource: int) -> tuple[str, Rung] | None:
        """The best trial that waits at a resource, over all brackets."""
        level = [rung for rung in self._from_top if rung.resource == resource]
        waiting = [(t, rung) for rung in level if (t := rung.best_waiting(len(rung)))]
        return max(waiting, key=lambda found: found[1].score(found[0]), default=None)

    def _words(self, trial: str, rung: Rung, places: int) -> str:
        value = self.metric.tell(rung.score(trial))
        bracket = f"bracket {self._bracket[trial]}, " if self.brackets > 1 else ""
        place = f"{ordinal(rung.rank(trial))} of {len(rung)}"
        goes = f"the best {places} go{'es' * (places == 1)} on"
        if not places:
            goes = f"none goes on before {self.reduction_factor} have come"
        where = f"{bracket}rung {rung.resource} {self.resource.unit}"
        return f"{where}: {value} is {place}; {goes}"
