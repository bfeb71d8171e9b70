"""The plan of a search: phases, what each is given, and the gates between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from toprung.core.registry import nearest
from toprung.judge import gates as conditions
from toprung.judge.gates.metric import MetricGate
from toprung.judge.gating import ACTIONS, Action, Rule
from toprung.spec.choices import Component, read_component, read_components
from toprung.spec.dump import component_tree
from toprung.spec.families import Components
from toprung.spec.fields import Field, fields_of
from toprung.spec.fields import field as option
from toprung.spec.nodes import Node, Problems, shown
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
_GATE_KEYS = ("phase", "when", "then")
_EXAMPLE = (
    "Write for example phases: [{rows: 20000, trials: 9, epochs: 2}, {rows: 40000, best: 3}]."
)


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
class Gate:
    """A rule between two phases as the YAML says it.

    Attributes:
        when: conditions that must all hold.
        then: the action.
        phase: after which it is asked, from 1; None is every one.
        rows: that shrinking leaves.
    """

    when: tuple[Component, ...]
    then: Action
    phase: int | None = None
    rows: int | None = None

    def rule(self) -> Rule:
        """The rule with its conditions made."""
        made = tuple(make_condition(c.name, c.options) for c in self.when)
        return Rule(self.then, made, self.phase, self.rows)

    def sentence(self) -> str:
        """The gate in words.

        >>> crashes = Component("crashes", {"at_least": 1.0, "below": None})
        >>> Gate((crashes,), "shrink", phase=1, rows=15000).sentence()
        'after phase 1: if crashes is at least 1, shrink to 15,000 rows'
        """
        asked = []
        for one in self.when:
            over = f" over {one.options['over']}" if one.options.get("over") else ""
            low, high = one.options.get("at_least"), one.options.get("below")
            bounds = [f"at least {low:g}"] if isinstance(low, int | float) else []
            bounds += [f"below {high:g}"] if isinstance(high, int | float) else []
            asked.append(f"{one.name}{over} is {' and '.join(bounds)}")
        where = "" if self.phase is None else f"after phase {self.phase}: "
        when = f"if {' and '.join(asked)}, " if asked else "always "
        to = f" to {self.rows:,} rows" if self.rows is not None else ""
        return f"{where}{when}{self.then.replace('_', ' ')}{to}"

    def tree(self) -> dict[str, Any]:
        """The gate in the grammar of the YAML."""
        tree: dict[str, Any] = {} if self.phase is None else {"phase": self.phase}
        if self.when:
            tree["when"] = {
                c.name: {key: value for key, value in c.options.items() if value is not None}
                for c in self.when
            }
        shrinks = self.then == "shrink"
        tree["then"] = {"shrink": {"rows": self.rows}} if shrinks else self.then
        return tree


def make_condition(name: str, options: Mapping[str, Scalar]) -> Any:
    """A gate's condition; a name that no file has is that of a metric.

    Raises:
        ValueError: the options do not fit.
    """
    if name in conditions.registry.names():
        return conditions.registry.make(name, options)
    return conditions.registry.make("metric", {**options, "name": name})


class Conditions:
    """What a gate may ask about: the components of ``judge/gates``, and the task's metrics."""

    kind = "condition"

    def __init__(self, metrics: Sequence[str]) -> None:
        self._metrics = metrics

    def names(self) -> Sequence[str]:
        """Every condition's name, metrics first."""
        return [*self._metrics, *(n for n in conditions.registry.names() if n != "metric")]

    def unknown(self, name: str) -> str | None:
        """Why there is no such condition, with the nearest name; None where there is."""
        if name in self.names():
            return None
        return f"no metric or condition {shown(name)}. {nearest(name, self.names())}"

    def fields(self, name: str) -> Mapping[str, Field]:
        """The bounds, and whatever else the condition takes."""
        if name in self._metrics:
            return fields_of(MetricGate, leave_out=("name",))
        return fields_of(conditions.registry.get(name))

    def refuse(self, name: str, options: Mapping[str, Scalar]) -> str | None:
        """What the condition's own constructor says against the options."""
        try:
            make_condition(name, options)
        except ValueError as error:
            return f"{name}: {error}"
        return None


@dataclass(frozen=True)
class Common:
    """What a phase takes from the rest of the spec where it says nothing.

    Attributes:
        trials: of the budget.
        scheduler: of the search.
        longest: text in tokens that every backbone takes.
    """

    trials: int
    scheduler: Component
    longest: int


def read_floor(node: Node | None, problems: Problems) -> float | None:
    """The recall that every class must reach, of a mapping of ``constraints``."""
    given = read_fields(node, CONSTRAINTS, problems)
    floor = given.get("recall")
    return None if floor is None else float(floor)


def read_phases(node: Node | None, common: Common, problems: Problems) -> tuple[Phase, ...]:
    """The phases of a plan; what is wrong with them goes into ``problems``."""
    if node is None:
        return ()
    if not isinstance(node.value, tuple) or not node.value:
        problems.add(node, f"{node.shown()} is not a list of phases. {_EXAMPLE}")
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
        problems.add(node, f"{node.shown()} is not a phase. {_EXAMPLE}")
        return None
    plain = {key: child for key, child in node.items.items() if key not in _OTHERS}
    given = read_fields(Node(node.place, node.line, plain), FIELDS, problems)
    scheduler: Component | None = common.scheduler
    if "scheduler" in node.items:
        scheduler = read_component(node.items["scheduler"], Components("scheduler"), problems)
    floor = read_floor(node.items.get("constraints"), problems)
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
    if phase.max_length is not None and phase.max_length > common.longest:
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


def read_gates(
    node: Node | None,
    phases: Sequence[Phase],
    problems: Problems,
    *,
    metrics: Sequence[str],
    baselines: Sequence[str],
) -> tuple[Gate, ...]:
    """The gates of a plan, in the order in which they are asked.

    Args:
        node: the list under ``gates``, if any.
        phases: of the plan.
        problems: what is found wrong is added here.
        metrics: of the task.
        baselines: of the spec, by name.
    """
    if node is None:
        return ()
    if not isinstance(node.value, tuple):
        example = "Write for example gates: [{when: {accuracy: {at_least: 0.8}}, then: succeed}]."
        problems.add(node, f"{node.shown()} is not a list of gates. {example}")
        return ()
    if not phases:
        problems.add(node, f"gates stand between phases, and there are none. {_EXAMPLE}")
        return ()
    family = Conditions(metrics)
    found = []
    for entry in node.value:
        gate = _read_gate(entry, phases, family, problems)
        if gate is None:
            continue
        found.append(gate)
        for condition in gate.when:
            over = condition.options.get("over")
            if over is not None and over not in baselines:
                text = f"no baseline {shown(over)}. {nearest(str(over), baselines)}"
                problems.add(entry.items["when"], text)
    return tuple(found)


def _read_gate(
    node: Node, phases: Sequence[Phase], family: Conditions, problems: Problems
) -> Gate | None:
    known = len(problems)
    if not isinstance(node.value, Mapping):
        problems.add(node, f"{node.shown()} is not a gate. Write {{when: …, then: …}}.")
        return None
    for key, child in node.items.items():
        if key not in _GATE_KEYS:
            problems.add(child, f"no key '{key}' here. {nearest(key, _GATE_KEYS)}")
    phase = _read_number(node.items.get("phase"), len(phases), problems)
    when = node.items.get("when")
    asked: tuple[Component, ...] = ()
    if when is not None and when.value not in ((), None):
        asked = read_components(when, family, problems)
    then = node.items.get("then")
    if then is None:
        problems.add(node, f"a gate needs then: with an action. Known: {', '.join(ACTIONS)}.")
        return None
    action, rows = _read_action(then, problems)
    if action is None or len(problems) > known:
        return None
    if action == "shrink":
        _check_shrink(then, rows, phases if phase is None else [phases[phase - 1]], problems)
    return Gate(asked, action, phase, rows) if len(problems) == known else None


def _read_number(node: Node | None, phases: int, problems: Problems) -> int | None:
    if node is None or node.value is None:
        return None
    value = node.value
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= phases:
        return value
    problems.add(node, f"{node.shown()} is not the number of a phase, from 1 to {phases}.")
    return None


def _read_action(node: Node, problems: Problems) -> tuple[Action | None, int | None]:
    """The action's name, and the rows that shrinking leaves."""
    named = node.value
    options: Node | None = None
    if isinstance(named, Mapping) and len(named) == 1:
        named, options = next(iter(named.items()))
    action = next((known for known in ACTIONS if known == named), None)
    if action is None:
        name = named if isinstance(named, str) else ""
        what = f"no action {shown(name)}" if name else f"{node.shown()} is not an action"
        problems.add(node, f"{what}. {nearest(name, ACTIONS)}")
        return None, None
    if action != "shrink":
        if options is not None and options.value not in (None, {}):
            problems.add(options, f"'{action}' has no options. Leave them out.")
        return action, None
    rows = read_fields(options, {"rows": FIELDS["rows"]}, problems).get("rows")
    if rows is None:
        problems.add(node, "shrink needs rows. Write then: {shrink: {rows: 15000}}.")
    return action, _whole(rows)


def _check_shrink(
    node: Node, rows: int | None, phases: Sequence[Phase], problems: Problems
) -> None:
    if rows is not None and all(p.rows is not None and rows >= p.rows for p in phases):
        most = max(p.rows or 0 for p in phases)
        text = f"{rows} rows are no fewer than the {most} that the phase has. Lower rows."
        problems.add(node, text)


def _whole(value: Scalar) -> int | None:
    return None if value is None else int(value)


def _number(value: Scalar) -> float | None:
    return None if value is None else float(value)
