"""What each trial of a search would cost: by its shape, from shapes that were timed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from toprung.data.dataset import Dataset
from toprung.learn.evaluate import rows_to_score
from toprung.learn.paces import Pace
from toprung.trial.config import Resource, TrialConfig
from toprung.trial.history import TrialRecord
from toprung.trial.space import Scalar, Values

Shape = tuple[tuple[str, Scalar], ...]
"""The values of a configuration that decide what a step costs."""

_KEYS = ("backbone", "adapter", "max_length", "batch_size", "accumulation", "augmenter")
_ENDS = (".depth", ".layers", ".width", ".patch", ".stem", ".fusion")
_SIZES = (((".depth", ".layers"), 6.0), ((".width",), 1.0), ((".patch",), 1.0))
_FLOPS = {"full": 6.0, "lora": 4.0, "frozen": 2.0}


def shape_of(values: Values) -> Shape:
    """The values of a configuration that decide what a step costs.

    >>> shape_of({"adapter": "lora", "adapter.lora.layers": "all", "adapter.lora.rank": 8})
    (('adapter', 'lora'), ('adapter.lora.layers', 'all'))
    """
    return tuple(sorted((n, v) for n, v in values.items() if n in _KEYS or n.endswith(_ENDS)))


def frequent_shapes(records: Iterable[TrialRecord], most: int) -> dict[Shape, TrialConfig]:
    """One configuration of each shape, those that a search gives most first."""
    given: Counter[Shape] = Counter()
    example: dict[Shape, TrialConfig] = {}
    for record in records:
        shape = shape_of(record.config.values)
        given[shape] += record.resource
        example.setdefault(shape, record.config)
    return {shape: example[shape] for shape, _ in given.most_common(most)}


def work(shape: Shape) -> float:
    """Arithmetic of a row, but for what all shapes share: 6 N, 4 N or 2 N operations a token.

    N, the parameters, goes with the depth; the embeddings count as half a layer. Series have a
    token for every patch, and matrices so narrow that their time goes with their width.
    """
    values = dict(shape)
    depth, width, patch = (_number(shape, *ends) for ends in _SIZES)
    length = float(str(values.get("max_length", 128))) / patch
    return _FLOPS.get(str(values.get("adapter", "full")), 6.0) * (depth + 0.5) * length * width


def _number(shape: Shape, ends: tuple[str, ...], otherwise: float) -> float:
    """The number whose name ends so."""
    found = (v for n, v in shape if n.endswith(ends) and isinstance(v, int | float))
    return float(next(found, otherwise))


@dataclass
class Prices:
    """Seconds of trials; one object for one simulated search, as caches fill while it runs.

    Attributes:
        known: paces by shape.
        data: whole, for how many held-out rows a report scores.
        slowness: factor of all times, for another machine.
        cached: rows of each shape whose frozen layers' output is in the cache by now.
        pretrained: shapes whose pretrained weights are there by now.
    """

    known: Mapping[Shape, Pace]
    data: Dataset
    slowness: float = 1.0
    cached: dict[Shape, int] = field(default_factory=dict)
    pretrained: set[Shape] = field(default_factory=set)

    def pace(self, values: Values) -> tuple[Pace, float]:
        """The pace of a configuration's shape or the most alike one, and the factor of it."""
        shape = shape_of(values)
        if shape in self.known:
            return self.known[shape], self.slowness
        nearest = max(self.known, key=lambda other: len(set(other) & set(shape)))
        return self.known[nearest], self.slowness * work(shape) / work(nearest)

    def seconds(
        self, config: TrialConfig, resource: Resource, rows: int | None
    ) -> dict[int, float]:
        """Seconds of a trial until each point of its resource, if it is trained so far.

        Args:
            config: of the trial.
            resource: of the search or phase.
            rows: of train that it learns from; None for all.
        """
        pace, factor = self.pace(config.values)
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
