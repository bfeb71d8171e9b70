"""Every row is given the same answer, though the rows are not alike."""

from __future__ import annotations

from dataclasses import dataclass

from toprung.judge.diagnoses._base import Course, Diagnosis


@dataclass(frozen=True)
class OneClass(Diagnosis):
    """The answers have collapsed, at two reports running, or at the first if it comes late.

    Attributes:
        share: of the rows with the most frequent answer, from which on they count as all.
        most_true: the largest share that the most frequent true answer may have.
        after: share of the largest resource before which a model may not have begun to learn.
    """

    share: float = 0.999
    most_true: float = 0.95
    after: float = 0.25

    title = "predicts one class"
    remedy = "Lower the learning rate or lengthen the warm-up; if classes are rare, weight them."
    stops = True

    def evidence(self, course: Course) -> str | None:
        answered = course.series("largest_predicted_share")[-2:]
        true = course.last("largest_true_share")
        if not answered or true is None or true > self.most_true or course.progress < self.after:
            return None
        if min(answered) < self.share or (len(answered) == 1 and len(course.reports) > 1):
            return None
        return (
            f"{answered[-1]:.1%} of the stopping rows get the same answer at {course.at(-1)}, "
            f"where the most frequent true one has {true:.1%}{course.rate}"
        )
