"""A search as its YAML says it, every value checked and every default filled in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any, Literal

from toprung.data.source import DataSource
from toprung.learn.backbone.card import Card
from toprung.spec.choices import Component
from toprung.spec.domain import count
from toprung.spec.dump import component_tree, dump, space_tree
from toprung.spec.gates import Gate
from toprung.spec.phases import Phase
from toprung.trial.config import Resource
from toprung.trial.report import Metric
from toprung.trial.space import Choice, Option, Space, Values

_NOT_IN_DATA = ("corpus_options", "task")


@dataclass(frozen=True)
class SearchSpec:
    """Everything that a search is started with.

    Attributes:
        name: of the search and of its folder under results/.
        path: of the YAML; not compared.
        task: name of the task.
        data: where the rows lie.
        space: that is searched.
        metric: that trials are ranked by, with its direction.
        scheduler: who trains on, with all options.
        searcher: what is tried next, with all options.
        resource: rungs and points of report.
        trials: most trials of the search.
        minutes: most time; None is no limit.
        disk_gib: of disk for checkpoints and predictions, beyond which those of losers go; None
            is half of what is free when the search is opened.
        cpus: of each trial.
        gpus: of each trial; may be a fraction. None is one where any node has one, else none.
        precision: of the training's arithmetic; ``auto`` is measured when the search begins.
        cache_gib: of disk for what frozen layers make of the texts; 0 keeps nothing, None is a
            quarter of what is free.
        ensemble: how members are weighed, with all options.
        baselines: measured before the first trial.
        first: configurations tried before the searcher's own; flat.
        seed: of everything random.
        cards: backbone of the space by name.
        phases: of the plan; empty where the search has one alone.
        gates: what is asked after each phase, in this order.
        memory_gib: of a node, that a trial is promised; None is what ``estimate`` forecast.
        cpus_alone: that a trial takes where no GPU is left; None keeps it waiting for one.
    """

    name: str
    path: str = field(compare=False)
    task: str
    data: DataSource
    space: Space
    metric: Metric
    scheduler: Component
    searcher: Component
    resource: Resource
    trials: int
    minutes: float | None
    cpus: int
    gpus: float | None
    precision: Literal["auto", "float32", "bfloat16"]
    cache_gib: float | None
    ensemble: Component
    baselines: tuple[Component, ...]
    first: tuple[Values, ...]
    seed: int
    cards: Mapping[str, Card]
    disk_gib: float | None = None
    phases: tuple[Phase, ...] = ()
    gates: tuple[Gate, ...] = ()
    memory_gib: float | None = None
    cpus_alone: int | None = None

    @property
    def by_class(self) -> bool:
        """Whether the recall of each class counts anywhere in the search."""
        return bool(self.phases) or self.metric.floor is not None

    @cached_property
    def combinations(self) -> int | None:
        """How many configurations the space holds; None where a number is continuous."""
        return count(Choice((Option("", self.space),)))

    @cached_property
    def resolved(self) -> str:
        """YAML of the spec with every default filled in; loading it gives an equal spec."""
        return self.to_yaml()

    def to_yaml(self, *, portable: bool = False) -> str:
        """The resolved YAML; a portable one leaves out the folder that paths start from."""
        tree = self._tree()
        if portable:
            tree["data"].pop("base", None)
        return "# Every value of this search, defaults included.\n" + dump(tree)

    def _tree(self) -> dict[str, Any]:
        resource = self.resource
        budget = {"trials": self.trials, "minutes": self.minutes}
        tree: dict[str, Any] = {
            "name": self.name,
            "task": self.task,
            "data": self._data_tree(),
            "space": space_tree(self.space),
            "metric": self.metric.name,
            "scheduler": component_tree(self.scheduler.name, self.scheduler.options),
            "searcher": component_tree(self.searcher.name, self.searcher.options),
            "resource": {"unit": resource.unit, "min": resource.min, "max": resource.max},
            "budget": budget,
            "trial": {
                "cpus": self.cpus,
                "gpus": self.gpus,
                "precision": self.precision,
                "cache_gib": self.cache_gib,
            },
            "ensemble": component_tree(self.ensemble.name, self.ensemble.options),
            "baselines": [component_tree(b.name, b.options) for b in self.baselines],
            "first": [dict(values) for values in self.first],
            "seed": self.seed,
        }
        # Only where it is given: a search that was begun without it has the same spec as before.
        if self.disk_gib is not None:
            tree["budget"] = {**budget, "disk_gib": self.disk_gib}
        for name in ("memory_gib", "cpus_alone"):
            if getattr(self, name) is not None:
                tree["trial"][name] = getattr(self, name)
        if self.metric.floor is not None:
            tree["constraints"] = {"recall": self.metric.floor}
        if self.phases:
            tree["phases"] = [phase.tree() for phase in self.phases]
            tree["gates"] = [gate.tree() for gate in self.gates]
        return tree

    def _data_tree(self) -> dict[str, Any]:
        names = [known.name for known in fields(DataSource) if known.name not in _NOT_IN_DATA]
        tree = {name: getattr(self.data, name) for name in names}
        if self.data.corpus:
            tree["corpus"] = component_tree(self.data.corpus, self.data.corpus_options)
        if self.data.base == ".":
            del tree["base"]
        return {name: value for name, value in tree.items() if value is not None}
