"""The learning rate was cut although training still went well."""

from __future__ import annotations

from dataclasses import dataclass

from toprung.judge.diagnoses._base import Course, Diagnosis


@dataclass(frozen=True)
class PatienceShort(Diagnosis):
    """A plateau schedule lowered the rate between reports whose losses still fell.

    Attributes:
        cuts: of the rate during good progress, from which on it is no accident.
        fall: share by which the training loss fell between two reports, to count as progress.
        before: share of the largest resource; later cuts do little harm.
    """

    cuts: int = 2
    fall: float = 0.05
    before: float = 0.7

    title = "patience too short"
    remedy = "Raise the schedule's patience, or take cosine or linear, which do not look at losses."

    def evidence(self, course: Course) -> str | None:
        if course.values.get("schedule") != "plateau":
            return None
        rates, losses = course.series("learning_rate"), course.series("train_loss")
        count = min(len(rates), len(losses), len(course.reports))
        reports = course.reports[len(course.reports) - count :]
        rates, losses = rates[-count:], losses[-count:]
        found = [
            i
            for i in range(1, count)
            if rates[i] < 0.999 * rates[i - 1]
            and losses[i] < (1 - self.fall) * losses[i - 1]
            and reports[i].resource <= self.before * course.facts.resource.max
        ]
        if len(found) < self.cuts:
            return None
        first, last = found[0] - 1, found[-1]
        return (
            f"the learning rate fell from {rates[first]:.3g} to {rates[last]:.3g} by "
            f"{reports[last].resource:,} {course.facts.resource.unit}, though the training loss "
            f"fell from {losses[first]:.3f} to {losses[last]:.3f} meanwhile"
        )
