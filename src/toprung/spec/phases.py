"""The phases of a plan: rows, trials, and what each trial is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from toprung.data.tasks._base import Task
from toprung.spec.choices import Component, read_component
from toprung.spec.dump import component_tree
from toprung.spec.families import Components
from toprung.spec.fields import field as option
from toprung.spec.nodes import Node, Problems
from toprung.spec.resource import make_resource, read_resource
from toprung.spec.sections import read_fields
from toprung.trial.config import Resource
from toprung.trial.space import Scalar

FIELDS = {
    "rows": option("rows", int | None),
    "trials": option("trials", int | None),
    "best": option("best", int, default=0),
    "epochs": option("epochs", float | None),
    "max_length": option("max_length", int | None),
    "minutes": option("minutes", float | None),
}
CONSTRAINTS = {"recall": option("recall", float | None)}
_OTHERS = ("resource", "scheduler", "constraints")
EXAMPLE = "Write for example phases: [{rows: 20000, trials: 9, epochs: 2}, {rows: 40000, best: 3}]."


@dataclass(frozen=True)
class Phase:
    """One phase of a plan.

    Attributes:
        rows: of train that its trials learn from, a stratified part that holds those of the
            phases before; None is all of them.
        trials: most trials.
        best: configurations of the phase before that are tried first, best first.
        epochs: passes over ``rows`` that the last rung is; None where ``resource`` says it.
        max_length: of texts in tokens, instead of the space's; None leaves that.
        minutes: most time of the phase; None is no limit of its own.
        floor: recall that every class must reach; None takes the search's.
        scheduler: who trains on in this phase.
        resource: of its trials; None takes the search's.
        line: where ``rows`` stands in the file; not compared.
    """

    rows: int | None
    trials: int
    best: int
    epochs: float | None
    max_length: int | None
    minutes: float | None
    floor: float | None
    scheduler: Component
    resource: Resource | None = None
    line: int | None = field(default=None, compare=False)

    @property
    def eta(self) -> int | None:
        """Reduction factor of its scheduler; None where it has none."""
        factor = self.scheduler.options.get("reduction_factor")
        return int(factor) if isinstance(factor, int) else None

    def resource_with(self, rows: int | None, common: Resource) -> Resource:
        """The resource of its trials when they learn from so many rows.

        Args:
            rows: those of the phase, or fewer where a gate has shrunk them.
            common: of the search, for a phase that says nothing.
        """
        if self.epochs is not None and rows is not None:
            high = max(1, round(self.epochs * rows))
            low = max(1, high // (self.eta or 3) ** 3)
            return make_resource("examples", low, high, self.eta)
        own = self.resource or common
        return make_resource(own.unit, own.min, own.max, self.eta)

    def tree(self) -> dict[str, Any]:
        """The phase in the grammar of the YAML."""
        plain = {name: getattr(self, name) for name in FIELDS}
        tree = {name: value for name, value in plain.items() if value not in (None, 0)}
        if self.floor is not None:
            tree["constraints"] = {"recall": self.floor}
        tree["scheduler"] = component_tree(self.scheduler.name, self.scheduler.options)
        if self.resource is not None:
            known = self.resource
            tree["resource"] = {"unit": known.unit, "min": known.min, "max": known.max}
        return tree


@dataclass(frozen=True)
class Common:
    """What a phase takes from the rest of the spec where it says nothing.

    Attributes:
        trials: of the budget.
        scheduler: of the search.
        longest: text in tokens that every backbone takes.
        task: of the search.
    """

    trials: int
    scheduler: Component
    longest: int
    task: Task


def read_floor(node: Node | None, task: Task, problems: Problems) -> float | None:
    """The recall that every class must reach, of a mapping of ``constraints``."""
    given = read_fields(node, CONSTRAINTS, problems)
    floor = given.get("recall")
    if node is not None and floor is not None and task.answers == "texts":
        text = "the task answers with texts, which have no classes. Leave it out."
        problems.add(node.items["recall"], text)
    return None if floor is None else float(floor)


def read_phases(node: Node | None, common: Common, problems: Problems) -> tuple[Phase, ...]:
    """The phases of a plan; what is wrong with them goes into ``problems``."""
    if node is None:
        return ()
    if not isinstance(node.value, tuple) or not node.value:
        problems.add(node, f"{node.shown()} is not a list of phases. {EXAMPLE}")
        return ()
    found: list[Phase] = []
    before: Phase | None = None
    for entry in node.value:
        phase = _read_phase(entry, common, before, problems)
        if phase is not None:
            _check_rows(entry, phase, before, problems)
            found.append(phase)
        before = phase
    return tuple(found)


def _read_phase(
    node: Node, common: Common, before: Phase | None, problems: Problems
) -> Phase | None:
    known = len(problems)
    if not isinstance(node.value, Mapping):
        problems.add(node, f"{node.shown()} is not a phase. {EXAMPLE}")
        return None
    plain = {key: child for key, child in node.items.items() if key not in _OTHERS}
    given = read_fields(Node(node.place, node.line, plain), FIELDS, problems)
    scheduler: Component | None = common.scheduler
    if "scheduler" in node.items:
        scheduler = read_component(node.items["scheduler"], Components("scheduler"), problems)
    floor = read_floor(node.items.get("constraints"), common.task, problems)
    if scheduler is None or len(problems) > known:
        return None
    eta = scheduler.options.get("reduction_factor")
    resource = None
    if "resource" in node.items:
        factor = int(eta) if isinstance(eta, int) else None
        resource = read_resource(node.items["resource"], factor, problems)
    best = int(given.get("best") or 0)
    made = Phase(
        rows=_whole(given.get("rows")),
        trials=_whole(given.get("trials")) or best or common.trials,
        best=best,
        epochs=_number(given.get("epochs")),
        max_length=_whole(given.get("max_length")),
        minutes=_number(given.get("minutes")),
        floor=floor,
        scheduler=scheduler,
        resource=resource,
        line=node.items.get("rows", node).line,
    )
    _check_phase(node, made, common, before, problems)
    return made if len(problems) == known else None


def _check_phase(
    node: Node, phase: Phase, common: Common, before: Phase | None, problems: Problems
) -> None:
    if phase.epochs is not None and phase.rows is None:
        text = "epochs need to know of how many rows. Add rows, or give resource instead."
        problems.add(node.items["epochs"], text)
    if phase.epochs is not None and phase.resource is not None:
        text = "epochs and resource both say how much a trial is given. Keep one."
        problems.add(node.items["epochs"], text)
    if phase.best > phase.trials:
        text = f"{phase.best} configurations are more than the phase's {phase.trials} trials."
        problems.add(node.items["best"], f"{text} Raise trials, or lower best.")
    if phase.best and node.place.endswith("[0]"):
        text = "the first phase has none before it, whose best it could take. Leave it out."
        problems.add(node.items["best"], text)
    elif phase.best and before is not None and phase.best > before.trials:
        text = f"the phase before tries only {before.trials} configurations. Lower best."
        problems.add(node.items["best"], text)
    if phase.max_length is not None and common.task.reads == "series":
        text = "series have the length of their windows. Leave it out."
        problems.add(node.items["max_length"], text)
    elif phase.max_length is not None and phase.max_length > common.longest:
        text = f"{phase.max_length} is above {common.longest}, the longest input of a backbone."
        problems.add(node.items["max_length"], f"{text} Lower it.")


def _check_rows(node: Node, phase: Phase, before: Phase | None, problems: Problems) -> None:
    if before is None or phase.rows is None:
        return
    least = "all rows" if before.rows is None else f"the {before.rows}"
    if before.rows is None or phase.rows < before.rows:
        text = f"{phase.rows} rows are fewer than {least} of the phase before."
        advice = "A later phase learns from as many or more: raise it, or swap the phases."
        problems.add(node.items["rows"], f"{text} {advice}")


def _whole(value: Scalar) -> int | None:
    return None if value is None else int(value)


def _number(value: Scalar) -> float | None:
    return None if value is None else float(value)
