"""The auxiliary loss is most of what is trained on."""

from __future__ import annotations

from dataclasses import dataclass

from toprung.judge.diagnoses._base import Course, Diagnosis


@dataclass(frozen=True)
class AuxiliaryDominates(Diagnosis):
    """At two reports running most of the training loss is its auxiliary part.

    Looks at ``train_auxiliary_loss``: the auxiliary losses, times their weights, which are part
    of ``train_loss``.

    Attributes:
        share: of the training loss.
    """

    share: float = 0.7

    title = "auxiliary loss that dominates"
    remedy = "Lower the auxiliary loss's weight, or scale its target."

    def evidence(self, course: Course) -> str | None:
        parts = course.series("train_auxiliary_loss")[-2:]
        whole = course.series("train_loss")[-2:]
        if len(parts) < 2 or len(whole) < 2 or min(whole) <= 0:
            return None
        shares = [part / all_ for part, all_ in zip(parts, whole, strict=True)]
        if min(shares) < self.share:
            return None
        return (
            f"{shares[1]:.0%} of the training loss ({parts[1]:.3f} of {whole[1]:.3f}) at "
            f"{course.at(-1)} is auxiliary, and {shares[0]:.0%} at {course.at(-2)}"
        )
