"""A schedule that is to change the learning rate never did."""

from __future__ import annotations

from dataclasses import dataclass

from toprung.judge.diagnoses._base import Course, Diagnosis


@dataclass(frozen=True)
class ScheduleStuck(Diagnosis):
    """Near the end of training the learning rate is what it was after the warm-up.

    Attributes:
        after: share of the largest resource before which nothing is said.
        spread: share by which rates may differ and count as the same.
    """

    after: float = 0.9
    spread: float = 1e-3

    title = "schedule that never moved"
    remedy = "Shorten the schedule's patience, or take cosine or linear, which end with training."

    def evidence(self, course: Course) -> str | None:
        name = str(course.values.get("schedule", "linear"))
        warm = float(str(course.values.get("warmup", 0.06)))
        full = course.facts.resource.max
        rates = [
            float(report.metrics["learning_rate"])
            for report in course.reports
            if "learning_rate" in report.metrics and report.resource > warm * full
        ]
        if name == "constant" or course.progress < self.after or len(rates) < 3:
            return None
        if max(rates) - min(rates) > self.spread * max(rates):
            return None
        return (
            f"the learning rate was {rates[-1]:.3g} at all {len(rates)} reports after the warm-up, "
            f"to {course.at(-1)}, with the schedule {name}"
        )
