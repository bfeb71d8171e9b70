"""Training ended while everything was still getting better."""

from __future__ import annotations

from dataclasses import dataclass

from toprung.judge.diagnoses._base import Course, Diagnosis


@dataclass(frozen=True)
class Underfitting(Diagnosis):
    """At the last rung both losses still fall, and neither is far from the other.

    Attributes:
        fall: share by which each loss fell since the report before the last.
        gap: share by which the held-out log-loss may exceed the training loss.
    """

    fall: float = 0.05
    gap: float = 0.1

    title = "underfitting"
    remedy = (
        "Give it more: raise resource.max (of a plan, the phase's epochs) or the learning rate, or "
        "take a larger backbone."
    )

    def evidence(self, course: Course) -> str | None:
        held, trained = course.series("log_loss")[-2:], course.series("train_loss")[-2:]
        if course.progress < 1.0 or len(held) < 2 or len(trained) < 2:
            return None
        if held[1] > (1 - self.fall) * held[0] or trained[1] > (1 - self.fall) * trained[0]:
            return None
        if held[1] > (1 + self.gap) * trained[1]:
            return None
        return (
            f"from {course.at(-2)} to {course.at(-1)} the training loss still fell from "
            f"{trained[0]:.3f} to {trained[1]:.3f}, and the log-loss on held-out rows from "
            f"{held[0]:.3f} to {held[1]:.3f}"
        )
