"""There are too few rows to learn the classes from."""

from __future__ import annotations

from dataclasses import dataclass

from toprung.judge.diagnoses._base import Course, Diagnosis


@dataclass(frozen=True)
class FewRows(Diagnosis):
    """Some class has hardly any training row, or all have few on average.

    Attributes:
        rarest: rows of the rarest class below which it cannot be learned.
        mean: rows a class below which the whole set is small.
    """

    rarest: int = 8
    mean: float = 20.0

    title = "too little data"
    remedy = "Label more rows of the rarest classes, merge them, or train on frozen layers only."
    of_data = True

    def evidence(self, course: Course) -> str | None:
        rows, counts = course.facts.rows, course.facts.class_rows
        if not rows or not counts or not course.reports:
            return None
        name = min(counts, key=lambda label: (counts[label], label))
        mean = sum(counts.values()) / len(counts)
        if counts[name] >= self.rarest and mean >= self.mean:
            return None
        return (
            f"{rows:,} training rows are {mean:.1f} a class on average over {len(counts)} "
            f"classes; the rarest, '{name}', has {counts[name]}"
        )
