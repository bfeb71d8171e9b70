"""Held-out rows get worse while training rows get better."""

from __future__ import annotations

from dataclasses import dataclass

from toprung.judge.diagnoses._base import Course, Diagnosis


@dataclass(frozen=True)
class Overfitting(Diagnosis):
    """The log-loss of held-out rows stays above its lowest, and the training loss fell on.

    At two reports running: a single one may be chance, as it scores few rows.

    Attributes:
        rise: share by which the log-loss stands above its lowest.
        nats: by which it does so at least.
        fall: share by which the training loss fell meanwhile.
    """

    rise: float = 0.1
    nats: float = 0.03
    fall: float = 0.05

    title = "overfitting"
    remedy = "Train less long, with a lower learning rate, more dropout or fewer trained weights."

    def evidence(self, course: Course) -> str | None:
        held, trained = course.series("log_loss"), course.series("train_loss")
        count = min(len(held), len(trained))
        if count < 3:
            return None
        held, trained = held[-count:], trained[-count:]
        best = min(range(count), key=held.__getitem__)
        risen = min(held[-2:]) - held[best]
        if risen < max(self.nats, self.rise * held[best]):
            return None
        if trained[-1] > (1 - self.fall) * trained[best]:
            return None
        return (
            f"the log-loss on held-out rows rose from {held[best]:.3f} at "
            f"{course.at(best - count)} to {held[-1]:.3f} at {course.at(-1)}, while the training "
            f"loss fell from {trained[best]:.3f} to {trained[-1]:.3f}"
        )
