"""How long a report may be waited for, judged by those that came."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from toprung.trial.history import History, TrialRecord
from toprung.trial.report import Report


@dataclass(frozen=True)
class Watchdog:
    """Tells a trial that hangs from one that is slow.

    Attributes:
        times: of the median time that other trials took to the same report.
        at_least: seconds of silence that are always granted: a worker's first trial loads its
            backbone, and the first of a depth computes what frozen layers make of the texts.
        unknown: seconds that are granted while no trial has reported anything.
    """

    times: float = 10.0
    at_least: float = 600.0
    unknown: float = 21600.0

    def judge(self, silent: float, record: TrialRecord, point: int, history: History) -> str:
        """Why a trial counts as hung after so many silent seconds; empty where it does not.

        Args:
            silent: since the trial's worker began, or last said something.
            record: of the trial.
            point: of the report that is due.
            history: of the search.
        """
        if silent <= self.at_least:
            return ""
        usual = usual_seconds(history, record.resource, point, phase=record.phase)
        if usual is None:
            known, limit = "no trial has reported yet", self.unknown
        else:
            known = f"{self.times:g} times the median of such reports is {self.times * usual:.0f} s"
            limit = self.times * usual
        return f"no report at {point} for {silent:.0f} s; {known}" if silent > limit else ""


def usual_seconds(history: History, reached: int, point: int, *, phase: int = 0) -> float | None:
    """The median time from one report to that at a point; None where nothing is known.

    Where no trial has reported there, as long as the same amount of resource took elsewhere.
    Only trials of the same phase count: others had other rows, or another unit.
    """
    alike = (record for record in history.trials.values() if record.phase == phase)
    steps = [step for record in alike for step in _steps(record)]
    here = [after.seconds - before.seconds for before, after in steps if after.resource == point]
    if here:
        return median(here)
    paces = [
        (after.seconds - before.seconds) / (after.resource - before.resource)
        for before, after in steps
        if after.resource > before.resource
    ]
    return median(paces) * (point - reached) if paces else None


def _steps(record: TrialRecord) -> Iterator[tuple[Report, Report]]:
    begin = Report(record.config.trial, 0, {}, 0.0)
    return pairwise([begin, *record.reports])
