"""What each trial of a search would cost: by its shape, from shapes that were timed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from toprung.api.shapes import Shape, reading, shape_of, work
from toprung.data.dataset import Dataset
from toprung.data.tasks._base import Task
from toprung.learn.backbone.card import Card
from toprung.learn.batches import Rows
from toprung.learn.evaluate import rows_to_score
from toprung.learn.paces import Pace
from toprung.learn.summaries.evaluate import MOST_LOSSES, rows_to_write
from toprung.learn.summaries.settings import summary_settings_of
from toprung.trial.config import Resource, TrialConfig
from toprung.trial.history import TrialRecord
from toprung.trial.space import Values

_OF_STEPS = ("batch_size", "accumulation", "decoder_layers")
"""What of a shape the output of frozen layers does not depend on."""


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
        cached: rows of train in each cache of frozen layers' output by now; those that are scored.
        pretrained: shapes whose pretrained weights are there by now.
    """

    known: Mapping[Shape, Pace]
    data: Dataset
    cards: Mapping[str, Card]
    slowness: float = 1.0
    cached: dict[Shape, tuple[float, int]] = field(default_factory=dict)
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

    def legs(
        self, config: TrialConfig, resource: Resource, rows: int | None, start: int = 0
    ) -> Iterator[tuple[int, float]]:
        """Each point above a start, and the seconds from the point before it.

        A point is priced when it is asked for, with what is in the caches by then.

        Args:
            config: of the trial.
            resource: of the search or phase.
            rows: of train that it learns from; None for all.
            start: that it goes on from, built again.
        """
        pace, factor = self.pace(config.values), self.slowness
        splits, task = self.data.splits, self.data.task
        train = len(splits["train"]) if rows is None else rows
        unit = train if resource.unit == "epochs" else 1
        strata = {name: task.strata(splits[name].labels) for name in task.splits}
        beams = summary_settings_of(config).beams
        seconds = pace.start_seconds + self._pretraining(config, train)
        before = start
        for point in (point for point in resource.points if point > start):
            scored, written = _held_out(task, strata, resource, point, unit=unit)
            between = (before * unit, point * unit)
            first = self._first(config, between, train, max(scored, written))
            seconds += (
                (point - before) * unit * pace.train_seconds
                + first * pace.first_seconds
                + scored * pace.score_seconds
                + written * beams * pace.write_seconds
                + resource.is_rung(point) * pace.save_seconds
            )
            yield point, seconds * factor
            seconds, before = 0.0, point

    def answering(self, config: TrialConfig, rows: int) -> float:
        """Seconds in which a member answers rows that nothing was computed of before."""
        pace = self.pace(config.values)
        beams = summary_settings_of(config).beams
        each = pace.first_seconds + pace.score_seconds + beams * pace.write_seconds
        return rows * each * self.slowness

    def _pretraining(self, config: TrialConfig, train: int) -> float:
        shape = shape_of(config.values)
        epochs = int(str(config.values.get("pretraining_epochs") or 0))
        if not epochs or shape in self.pretrained:
            return 0.0
        self.pretrained.add(shape)
        return epochs * train * self.pace(config.values).train_seconds

    def _first(
        self, config: TrialConfig, between: tuple[int, int], train: int, scored: int
    ) -> float:
        """Rows that a trial has the frozen layers run on, as they are not in the cache.

        Rows are drawn without replacement, and each that is missing has its block computed: of
        the blocks, of b rows, that the trial has not touched after the first m of N rows, the
        share ((N - n) / (N - m)) ** b is so after the first n too.
        """
        pace = self.pace(config.values)
        if not pace.first_seconds:
            return 0.0
        cache = tuple(item for item in shape_of(config.values) if item[0] not in _OF_STEPS)
        kept, held = self.cached.get(cache, (0.0, 0))
        begin, end = (min(examples, train) for examples in between)
        untouched = 1.0 if begin == train else ((train - end) / (train - begin)) ** pace.block_rows
        new = max(0.0, train - kept) * (1 - untouched)
        self.cached[cache] = (kept + new, max(held, scored))
        return new + max(0, scored - held)


def _held_out(
    task: Task, strata: Mapping[str, Rows], resource: Resource, point: int, *, unit: int
) -> tuple[int, int]:
    """Rows that a report at a point scores, and those that it writes texts for."""
    if task.answers != "texts":
        return sum(map(len, rows_to_score(strata, resource, point, unit=unit).values())), 0
    sizes = {name: len(rows) for name, rows in strata.items()}
    written = sum(map(len, rows_to_write(sizes, resource, point, unit=unit).values()))
    return min(MOST_LOSSES, sizes.get("stopping", 0)), written


def _likeness(shape: Shape, other: Shape) -> tuple[bool, int]:
    """How alike another shape is; one of another adapter keeps other things than this one."""
    adapter = {item for item in shape if item[0] == "adapter"}
    return adapter <= set(other), len(set(other) & set(shape))
