"""Whole searches on a simulated clock, in milliseconds instead of hours."""

from __future__ import annotations

import hashlib
import heapq
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from toprung.core.clock import VirtualClock
from toprung.core.errors import Interrupted
from toprung.search.driver import Driver
from toprung.search.runners._base import Reports, Runner, Train, begin, next_report
from toprung.trial.config import Assignment, Resource, TrialConfig
from toprung.trial.decision import Continue, Failure
from toprung.trial.report import Metric, Report
from toprung.trial.space import Scalar, Values

Curve = Callable[[TrialConfig, int], tuple[float, float]]
"""From a configuration and a resource to the metric's value and the seconds spent until then."""


class Virtual(Runner):
    """Delivers every report at the moment at which it would have come from so many workers.

    A report's moment is the search time at which its training began, which the journal holds,
    plus the trial's own ``seconds``. So a search that was cut off goes on with the same moments.
    Reports of one moment are delivered in the order of trial ids. Moments are whole milliseconds.

    The journal must be given this runner's ``clock``.
    """

    clock: VirtualClock

    def __init__(self, *, workers: int = 4) -> None:
        """States the options.

        Args:
            workers: trials that train at the same time.

        Raises:
            ValueError: fewer than one worker.
        """
        if workers < 1:
            raise ValueError(f"workers: {workers} is below 1")
        self.workers = workers
        self.clock = VirtualClock()

    def run(self, driver: Driver, train: Train) -> None:
        """Works until the driver assigns nothing more and nothing runs.

        Raises:
            Interrupted: the driver or a trial was interrupted; what runs is left.
        """
        slots = _Slots(driver)
        try:
            while not driver.interrupted:
                while len(slots) < self.workers and (assignment := driver.assign()) is not None:
                    slots.fill(assignment, train)
                if not slots:
                    return
                moment, trial = slots.pop()
                self.clock.move_to(self.clock.seconds() + moment - driver.elapsed())
                slots.deliver(trial)
        finally:
            slots.clear()
        raise Interrupted("the search was interrupted")


@dataclass
class _Training:
    reports: Reports
    coming: Report | Failure


class _Slots:
    """What trains now, and what comes of it next."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._trainings: dict[str, _Training] = {}
        self._moments: list[tuple[float, str]] = []

    def __len__(self) -> int:
        return len(self._trainings)

    def fill(self, assignment: Assignment, train: Train) -> None:
        trial, reports = assignment.config.trial, begin(train, assignment)
        self._trainings[trial] = _Training(reports, next_report(reports))
        self._expect(trial)

    def pop(self) -> tuple[float, str]:
        return heapq.heappop(self._moments)

    def deliver(self, trial: str) -> None:
        """Hands over what has come; the trial trains on, or its slot is free."""
        training = self._trainings[trial]
        if isinstance(training.coming, Failure):
            self._driver.fail(trial, training.coming)
        elif isinstance(self._driver.report(training.coming), Continue):
            training.coming = next_report(training.reports)
            self._expect(trial)
            return
        self._trainings.pop(trial).reports.close()

    def clear(self) -> None:
        for training in self._trainings.values():
            training.reports.close()
        for trial in sorted(self._driver.active):
            self._driver.leave(trial)

    def _expect(self, trial: str) -> None:
        record, coming = self._driver.history.trials[trial], self._trainings[trial].coming
        began = record.began or 0.0
        takes = 0.0 if isinstance(coming, Failure) else max(0.0, coming.seconds - record.seconds)
        heapq.heappush(self._moments, (round(began + takes, 3), trial))


def simulate(curve: Curve, resource: Resource, metric: Metric) -> Train:
    """A training that only looks its reports up in a learning curve.

    >>> from toprung.trial.config import Assignment
    >>> train = simulate(lambda config, at: (at / 10, at * 2.0), Resource("epochs", 1, 3, (1, 3)),
    ...                  Metric("accuracy"))
    >>> [(r.resource, dict(r.metrics), r.seconds)
    ...  for r in train(Assignment(TrialConfig("t0001", {}, 0), start=1))]
    [(3, {'accuracy': 0.3}, 6.0)]
    """

    def train(assignment: Assignment) -> Iterator[Report]:
        for point in resource.points:
            if point > assignment.start:
                value, seconds = curve(assignment.config, point)
                name, trial = f"at{point}", assignment.config.trial
                yield Report(trial, point, {metric.name: value}, round(seconds, 3), name)

    return train


def quality_of(values: Values, *salt: object) -> float:
    """A made-up quality in [0, 1] of a configuration, the mean over its values.

    For a number x it is a wave over lg|x| whose phase depends on the parameter's name, for
    anything else a draw from name and value. With another salt other values are the good ones.
    """
    qualities = [_quality(name, value, *salt) for name, value in sorted(values.items())]
    return sum(qualities) / max(1, len(qualities))


def synthetic_curve(
    metric: Metric, resource: Resource, quality: Callable[[Values], float] = quality_of
) -> Curve:
    """Made-up learning curves in which the values of a configuration matter.

    With the quality q in [0, 1] of a configuration, the value at resource r is
    ``0.3 + 0.6 * q * (1 - (1 + 8 r / max) ** -a)``, plus noise of about 0.01; a in [0.5, 1.5],
    noise and speed depend on the hash of configuration and seed. So learning curves cross, and
    early rungs mislead sometimes. A metric that is to be minimised gets one minus that. A unit of
    resource costs 0.005 to 0.015 s of search time per example, or 5 to 15 s per epoch.
    """

    def curve(config: TrialConfig, reached: int) -> tuple[float, float]:
        digest = config.sha256()
        bend = 0.5 + _draw(digest, "bend")
        learned = 1 - (1 + 8 * reached / resource.max) ** -bend
        noise = 0.02 * (_draw(digest, "noise", reached) - 0.5)
        value = round(0.3 + 0.6 * quality(config.values) * learned + noise, 6)
        pace = (0.01 if resource.unit == "examples" else 10.0) * (0.5 + _draw(digest, "pace"))
        return (value if metric.maximize else round(1 - value, 6)), reached * pace

    return curve


def _quality(name: str, value: Scalar, *salt: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        decades = math.log10(1e-6 + abs(value))
        return 0.5 + 0.5 * math.sin(math.tau * (decades / 5 + _draw(name, *salt)))
    return _draw(name, value, *salt)


def _draw(*names: object) -> float:
    """A number in [0, 1) that depends on nothing but the names."""
    digest = hashlib.sha256("/".join(map(str, names)).encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48
