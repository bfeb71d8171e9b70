"""A third of the training has taught nothing."""

from __future__ import annotations

from dataclasses import dataclass

from toprung.judge.diagnoses._base import Course, Diagnosis


@dataclass(frozen=True)
class NotLearning(Diagnosis):
    """Neither log-loss nor metric is better than answering with the classes' shares.

    A log-loss far above that one is another matter: such a model has learned, but nonsense.

    Attributes:
        after: share of the largest resource before which nothing is said.
        loss_share: of the majority's log-loss, that a trial which learns falls below.
        far: times the majority's log-loss, above which nothing is said.
        gain: of the metric over the majority, that a trial which learns exceeds.
    """

    after: float = 1 / 3
    loss_share: float = 0.98
    far: float = 1.5
    gain: float = 0.02

    title = "not learning"
    remedy = "Raise the learning rate or train more layers; then look at some labels by hand."

    def evidence(self, course: Course) -> str | None:
        metric = course.facts.metric
        prior = course.facts.baselines.get("majority", {})
        loss, value = course.last("log_loss"), course.last(metric.name)
        if course.progress < self.after or loss is None or value is None:
            return None
        if "log_loss" not in prior or metric.name not in prior:
            return None
        gained = metric.score(value) - metric.score(prior[metric.name])
        least, most = self.loss_share * prior["log_loss"], self.far * prior["log_loss"]
        if not least <= loss <= most or gained > self.gain:
            return None
        return (
            f"after {course.at(-1)} the log-loss is {loss:.3f} and {metric.name} {value:.4f}; "
            f"answering with the classes' shares alone gives {prior['log_loss']:.3f} and "
            f"{prior[metric.name]:.4f}"
        )
