"""A symptom that a trial shows: the numbers that tell it, and what likely helps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Finding:
    """One symptom of a trial.

    Attributes:
        symptom: its name in the registry of diagnoses.
        title: in the words of a person.
        evidence: the numbers that tell it, a sentence without its full stop.
        remedy: what likely helps, one sentence.
        resource: that the trial had reached.
        stops: whether it is certain enough to end the trial.
        of_data: whether it is about the rows, not about this trial's configuration.

    >>> found = Finding("one_class", "predicts one class", "all 60 rows", "Train slower.", 8, True)
    >>> found.reason
    'predicts one class: all 60 rows'
    >>> Finding.from_json(found.to_json()) == found
    True
    """

    symptom: str
    title: str
    evidence: str
    remedy: str
    resource: int
    stops: bool = False
    of_data: bool = False

    @property
    def reason(self) -> str:
        """Why a trial was stopped that shows it."""
        return f"{self.title}: {self.evidence}"

    def to_json(self) -> dict[str, Any]:
        """The finding as the fields of an event."""
        return dict(vars(self))

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Finding:
        """The finding that ``to_json`` wrote; other fields of the event are left."""
        return cls(**{name: value[name] for name in cls.__dataclass_fields__})
