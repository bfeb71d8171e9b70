"""Reads the sections of a spec one after another; each may add problems."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from toprung.core.registry import nearest
from toprung.data import tasks
from toprung.data.source import DataSource
from toprung.data.tasks._base import Task
from toprung.learn.backbone.card import Card, card_names
from toprung.spec.baselines import check_joining, read_baselines
from toprung.spec.choices import Component, read_component
from toprung.spec.families import Components, registry
from toprung.spec.first import read_first
from toprung.spec.gates import read_gates
from toprung.spec.nodes import Node, Problems, shown
from toprung.spec.phases import Common, read_floor, read_phases
from toprung.spec.portfolio import read_portfolio
from toprung.spec.resource import read_resource
from toprung.spec.sections import BUDGET, SEED, TRIAL, filled, read_data, read_fields
from toprung.spec.space import read_space
from toprung.spec.spec import SearchSpec
from toprung.trial.config import Resource
from toprung.trial.report import Metric
from toprung.trial.space import Choice, Space, Values

REQUIRED = {"task": "single_label", "data": "{corpus: tickets}", "space": "{backbone: minilm}"}
DEFAULTS = {"scheduler": "asha", "searcher": "tpe", "ensemble": "greedy"}
_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
_TAKEN_NAMES = ("records", "README.md")
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|\Z)|.*\.\Z", re.IGNORECASE)
"""Names that file systems of Windows keep for devices: a results folder may lie on such a share."""
_KEYS = (
    *("name", "task", "data", "space", "metric", "scheduler", "searcher", "resource"),
    *("budget", "trial", "ensemble", "baselines", "first", "seed"),
    *("constraints", "phases", "gates"),
)


def read_spec(root: Node, path: Path, problems: Problems) -> SearchSpec | None:
    """The spec of a tree; None, and why in ``problems``, where something is wrong.

    Args:
        root: the whole file, a mapping.
        path: of the file; gives the name and the folder that relative paths start from.
        problems: what is found wrong is added here.
    """
    reader = _Reader(root, path, problems)
    parts = reader.parts()
    if problems:
        return None
    spec = SearchSpec(path=str(path), **parts)
    reader.check_together(spec)
    return None if problems else spec


class _Reader:
    """One spec being read."""

    def __init__(self, root: Node, path: Path, problems: Problems) -> None:
        self.root = root
        self.path = path
        self.problems = problems

    def parts(self) -> dict[str, Any]:
        """Every part of the spec; usable where no problem was found."""
        self._check_keys()
        base = self._base()
        name = self._word("task", Components("task").names(), "single_label")
        task = tasks.registry.get(name)()
        space, cards = self._space(base, task)
        budget = self._section("budget", BUDGET)
        scheduler = self._component("scheduler")
        baselines = read_baselines(
            self._given("baselines"), self._at("baselines"), task, self.problems
        )
        return {
            "name": self._name(),
            "task": name,
            "data": self._data(base, name, keep_base=not set(cards) <= set(card_names())),
            "space": space,
            "cards": cards,
            "metric": self._metric(task),
            "scheduler": scheduler,
            "searcher": self._component("searcher"),
            "resource": self._resource(scheduler),
            **budget,
            **self._section("trial", TRIAL),
            "ensemble": self._ensemble(int(budget["trials"]), task, baselines),
            "baselines": baselines,
            "first": self._first(space, int(budget["trials"])),
            "seed": self._seed(),
            **self._plan(int(budget["trials"]), scheduler, cards, task, baselines),
        }

    def _plan(
        self,
        trials: int,
        scheduler: Component | None,
        cards: Mapping[str, Card],
        task: Task,
        baselines: Sequence[Component],
    ) -> dict[str, Any]:
        longest = min((card.max_length for card in cards.values()), default=1 << 20)
        common = Common(trials, scheduler or Component(DEFAULTS["scheduler"]), longest, task)
        phases = read_phases(self._given("phases"), common, self.problems)
        # Where no phase can be read, that is the problem, and not that gates stand alone.
        has_broken = self._given("phases") is not None and not phases
        gates = read_gates(
            None if has_broken else self._given("gates"),
            phases,
            self.problems,
            task=task,
            baselines=[component.name for component in baselines],
        )
        return {"phases": phases, "gates": gates}

    def check_together(self, spec: SearchSpec) -> None:
        """Asks the task, the scheduler and the searcher whether the rest fits them."""
        fitting = registry("task").get(spec.task).losses
        loss = spec.space.parameters.get("loss")
        for name in [
            v for v in (loss.values if isinstance(loss, Choice) else []) if v not in fitting
        ]:
            text = f"'{name}' does not fit the task {spec.task}. {nearest(str(name), fitting)}"
            self.problems.add(self._at("space").items["loss"], text)
        self._check_phases(spec)
        scheduler = registry("scheduler").get(spec.scheduler.name)(**spec.scheduler.options)
        searcher = registry("searcher").get(spec.searcher.name)(**spec.searcher.options)
        try:
            scheduler.prepare(spec.resource, spec.metric)
        except ValueError as error:
            self.problems.add(self._at("scheduler"), f"{error}")
        try:
            searcher.prepare(spec.space, spec.seed, spec.first)
        except ValueError as error:
            self.problems.add(self._at("searcher"), f"{error}")

    def _check_phases(self, spec: SearchSpec) -> None:
        """Asks the scheduler of each phase whether its resource fits it."""
        nodes = self._at("phases").value
        for phase, node in zip(spec.phases, nodes if isinstance(nodes, tuple) else (), strict=True):
            resource = phase.resource_with(phase.rows, spec.resource)
            if phase.eta and resource.max < resource.min * phase.eta:
                text = f"a last rung of {resource.max} {resource.unit} leaves no room for rungs"
                self.problems.add(node, f"{text} below it. Raise rows or epochs.")
                continue
            rules = registry("scheduler").get(phase.scheduler.name)(**phase.scheduler.options)
            try:
                rules.prepare(resource, spec.metric)
            except ValueError as error:
                self.problems.add(node, f"{error}")

    def _at(self, key: str) -> Node:
        return self.root.items.get(key) or Node(key, None, None)

    def _given(self, key: str) -> Node | None:
        node = self.root.items.get(key)
        return None if node is None or node.value is None else node

    def _check_keys(self) -> None:
        for key, node in self.root.items.items():
            if key not in _KEYS:
                self.problems.add(node, f"no key '{key}'. {nearest(key, _KEYS)}")
        for key, example in REQUIRED.items():
            if self._given(key) is None:
                text = f"missing. Write for example {key}: {example}."
                self.problems.add(self._at(key), text)

    def _name(self) -> str:
        node = self._given("name")
        name = self.path.stem if node is None else node.value
        if not isinstance(name, str) or not _can_name(name):
            safe = re.sub(r"[^A-Za-z0-9._-]+", "-", str(name)).strip("-._")[:64]
            safe = safe if _can_name(safe) else "my-search"
            what = f"the file's name {shown(name)}" if node is None else node.shown()
            text = f"{what} cannot name the folder of the search: up to 64 letters, digits, "
            text += f"'.', '_' and '-' can, but not {' or '.join(_TAKEN_NAMES)}."
            self.problems.add(self._at("name"), f"{text} Write name: {safe}.")
        return str(name)

    def _word(self, key: str, known: Sequence[str], default: str) -> str:
        node = self._given(key)
        if node is None:
            return default
        if isinstance(node.value, str) and node.value in known:
            return node.value
        name = node.value if isinstance(node.value, str) else ""
        what = f"no {key} {shown(name)}" if name else f"{node.shown()} is not the name of a {key}"
        self.problems.add(node, f"{what}. {nearest(name, known)}")
        return default

    def _base(self) -> Path:
        base = self._at("data").items.get("base")
        folder = self.path.resolve().parent
        return folder / base.value if base and isinstance(base.value, str) else folder

    def _mapping(self, key: str) -> Node | None:
        node = self._given(key)
        if node is None or isinstance(node.value, Mapping):
            return node
        text = f"{node.shown()} is not a mapping. Write for example {key}: {REQUIRED[key]}."
        self.problems.add(node, text)
        return None

    def _metric(self, task: Task) -> Metric:
        named = task.metrics[self._word("metric", list(task.metrics), task.default_metric)]
        floor = read_floor(self._given("constraints"), task, self.problems)
        return named if floor is None else replace(named, floor=floor)

    def _data(self, base: Path, task: str, *, keep_base: bool) -> DataSource | None:
        node = self._mapping("data")
        return (
            read_data(node, base, self.problems, task=task, keep_base=keep_base) if node else None
        )

    def _space(self, base: Path, task: Task) -> tuple[Space, Mapping[str, Card]]:
        node = self._mapping("space")
        return read_space(node, base, self.problems, task=task) if node else (Space({}), {})

    def _section(self, key: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        return filled(read_fields(self._given(key), fields, self.problems), fields)

    def _seed(self) -> int:
        node = self._given("seed")
        only = Node("", None, {"seed": node}) if node else None
        return int(read_fields(only, {"seed": SEED}, self.problems).get("seed") or 0)

    def _component(self, key: str, default: str = "") -> Component | None:
        node = self._given(key) or Node(key, None, default or DEFAULTS[key])
        return read_component(node, Components(key), self.problems)

    def _resource(self, scheduler: Component | None) -> Resource | None:
        eta = scheduler.options.get("reduction_factor") if scheduler else None
        return read_resource(self._given("resource"), int(eta) if eta else None, self.problems)

    def _ensemble(
        self, trials: int, task: Task, baselines: Sequence[Component]
    ) -> Component | None:
        default = "mbr" if task.answers == "texts" else DEFAULTS["ensemble"]
        found = self._component("ensemble", default)
        if found and registry("ensemble").get(found.name).answers != task.answers:
            text = f"'{found.name}' does not choose among {task.answers}. Use {default}."
            self.problems.add(self._at("ensemble"), text)
            return None
        if not found:
            return None
        named = self._at("ensemble").items.get(found.name, self._at("ensemble"))
        if found.options.get("baselines"):
            wish = named.items.get("baselines", named)
            check_joining(wish, baselines, task, self.problems)
        members = found.options.get("members")
        if not isinstance(members, int) or members <= trials:
            return found
        node = named.items.get("members")
        if node is None:  # a default is lowered, a wish is refused
            return Component(found.name, {**found.options, "members": trials})
        text = f"{members} members cannot come from {trials} trials."
        self.problems.add(node, f"{text} Lower members, or raise budget.trials.")
        return None

    def _first(self, space: Space, trials: int) -> tuple[Values, ...]:
        node = self._given("first")
        if node and isinstance(node.value, str):
            return read_portfolio(node, space, self.problems)[:trials]
        found = read_first(node, space, self.problems)
        if node and len(found) > trials:
            text = f"{len(found)} configurations are more than the {trials} of budget.trials."
            self.problems.add(node, f"{text} Raise it, or leave some out.")
        return found


def _can_name(name: str) -> bool:
    """Whether a folder under results/ may have the name."""
    safe = _SAFE_NAME.match(name) and not _RESERVED.match(name)
    return bool(safe) and name not in _TAKEN_NAMES
