"""What each trial of a search would cost: by its shape, from shapes that were timed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from toprung.api.shapes import Shape, reading, shape_of, work
from toprung.data.dataset import Dataset
from toprung.learn.backbone.card import Card
from toprung.learn.evaluate import rows_to_score
from toprung.learn.paces import Pace
from toprung.trial.config import Resource, TrialConfig
from toprung.trial.history import TrialRecord
from toprung.trial.space import Values


def frequent_shapes(records: Iterable[TrialRecord], most: int) -> dict[Shape, TrialConfig]:
    """One configuration of each shape, those that a search gives most first."""
    given: Counter[Shape] = Counter()
    example: dict[Shape, TrialConfig] = {}
    for record in records:
        shape = shape_of(record.config.values)
        given[shape] += record.resource
        example.setdefault(shape, record.config)
    return {shape: example[shape] for shape, _ in given.most_common(most)}


@dataclass
class Prices:
    """Seconds of trials; one object for one simulated search, as caches fill while it runs.

    Attributes:
        known: paces by shape.
        data: whole, for how many held-out rows a report scores.
        cards: of the backbones, for what other shapes cost.
        slowness: factor of all times, for another machine.
        cached: rows of each shape whose frozen layers' output is in the cache by now.
        pretrained: shapes whose pretrained weights are there by now.
    """

    known: Mapping[Shape, Pace]
    data: Dataset
    cards: Mapping[str, Card]
    slowness: float = 1.0
    cached: dict[Shape, int] = field(default_factory=dict)
    pretrained: set[Shape] = field(default_factory=set)

    def pace(self, values: Values) -> Pace:
        """The pace of a configuration's shape, or what follows from the most alike one's.

        Training goes with the arithmetic of a step, scoring and what frozen layers do once with
        that of reading; starting and saving take what they take.
        """
        shape = shape_of(values)
        if shape in self.known:
            return self.known[shape]
        near = max(self.known, key=partial(_likeness, shape))
        pace, cards = self.known[near], self.cards
        training = work(shape, cards) / work(near, cards)
        read = reading(shape, cards) / reading(near, cards)
        return replace(
            pace,
            train_seconds=pace.train_seconds * training,
            first_seconds=pace.first_seconds * read,
            score_seconds=pace.score_seconds * read,
        )

    def seconds(
        self, config: TrialConfig, resource: Resource, rows: int | None
    ) -> dict[int, float]:
        """Seconds of a trial until each point of its resource, if it is trained so far.

        Args:
            config: of the trial.
            resource: of the search or phase.
            rows: of train that it learns from; None for all.
        """
        pace, factor = self.pace(config.values), self.slowness
        splits, task = self.data.splits, self.data.task
        train = len(splits["train"]) if rows is None else rows
        unit = train if resource.unit == "epochs" else 1
        strata = {name: task.strata(splits[name].labels) for name in task.splits}
        shape = shape_of(config.values)
        seconds, before = pace.start_seconds * factor, 0
        epochs = int(str(config.values.get("pretraining_epochs") or 0))
        if epochs and shape not in self.pretrained:
            self.pretrained.add(shape)
            seconds += factor * epochs * train * pace.train_seconds
        found: dict[int, float] = {}
        for point in resource.points:
            scored = sum(map(len, rows_to_score(strata, resource, point, unit=unit).values()))
            new = max(0, min(point * unit, train) - self.cached.get(shape, 0))
            seconds += factor * (
                (point - before) * unit * pace.train_seconds
                + new * pace.first_seconds
                + scored * pace.score_seconds
            )
            if pace.first_seconds:
                self.cached[shape] = self.cached.get(shape, 0) + new
            if resource.is_rung(point):
                # A trial that pauses is built again when it goes on.
                seconds += factor * (pace.save_seconds + pace.start_seconds)
            found[point], before = seconds, point
        return found


def _likeness(shape: Shape, other: Shape) -> tuple[bool, int]:
    """How alike another shape is; one of another adapter keeps other things than this one."""
    adapter = {item for item in shape if item[0] == "adapter"}
    return adapter <= set(other), len(set(other) & set(shape))
