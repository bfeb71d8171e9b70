"""Journals what trials suffer from, each symptom once, and says which one ends a trial."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from toprung.trial.finding import Finding
from toprung.trial.history import History, TrialRecord
from toprung.trial.journal import Event

Diagnose = Callable[[TrialRecord, History], Sequence[Finding]]
"""Every symptom that a trial shows after its last report or failure; a pure function."""


def find_nothing(record: TrialRecord, history: History) -> Sequence[Finding]:
    """A diagnosis for searches without rows."""
    return ()


class Symptoms:
    """Looks at trials for the driver.

    What was found stands in the journal; a replayed search does not look again.
    """

    def __init__(self, diagnose: Diagnose, history: History, write: Callable[..., Event]) -> None:
        self._diagnose, self._history, self._write = diagnose, history, write

    def look(self, record: TrialRecord) -> Finding | None:
        """Journals the symptoms that were not known of the trial; returns one that ends it."""
        found = self._diagnose(record, self._history)
        known = {finding.symptom for finding in record.findings} | self._history.known_of_data
        for finding in found:
            if finding.symptom not in known:
                self._write("diagnosed", trial=record.config.trial, **finding.to_json())
        return next((finding for finding in found if finding.stops), None)
