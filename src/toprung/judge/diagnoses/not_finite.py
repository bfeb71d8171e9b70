"""A loss or a score is NaN or infinite."""

from __future__ import annotations

from dataclasses import dataclass

from toprung.judge.diagnoses._base import Course, Diagnosis


@dataclass(frozen=True)
class NotFinite(Diagnosis):
    """The trial ended as diverged; what was not finite, and where, is the evidence."""

    title = "loss not finite"
    remedy = "Lower the learning rate, lengthen the warm-up, or compute in float32."
    stops = True

    def evidence(self, course: Course) -> str | None:
        if not course.failures or course.failures[-1].kind != "diverged":
            return None
        return f"{course.failures[-1].message}{course.rate}"
