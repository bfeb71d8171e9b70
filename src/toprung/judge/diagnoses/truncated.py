"""Many texts are cut before the model reads them."""

from __future__ import annotations

from dataclasses import dataclass

from toprung.judge.diagnoses._base import Course, Diagnosis


@dataclass(frozen=True)
class Truncated(Diagnosis):
    """A large share of the training texts is as long as is allowed, so that most of them are cut.

    Attributes:
        share: of the training texts.
    """

    share: float = 0.2

    title = "truncated inputs"
    remedy = "Raise max_length, or try several in the space; attention costs time for it."

    def evidence(self, course: Course) -> str | None:
        share = course.last("truncated_share")
        if share is None or share < self.share:
            return None
        limit = course.values.get("max_length", 128)
        return f"{share:.1%} of the training texts reach the limit of {limit} tokens"
