"""The gates of a plan: rules between its phases, and what they may ask about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from toprung.core.registry import nearest
from toprung.data.tasks._base import Task
from toprung.judge import gates as conditions
from toprung.judge.gates.metric import MetricGate
from toprung.judge.gating import ACTIONS, Action, Rule
from toprung.spec.choices import Component, read_components
from toprung.spec.fields import Field, fields_of
from toprung.spec.nodes import Node, Problems, shown
from toprung.spec.phases import EXAMPLE, FIELDS, Phase
from toprung.spec.sections import read_fields
from toprung.trial.space import Scalar

_KEYS = ("phase", "when", "then")


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

    def __init__(self, task: Task) -> None:
        self._metrics = list(task.metrics)
        self._has_classes = task.answers != "texts"

    def names(self) -> Sequence[str]:
        """Every condition's name, metrics first."""
        known = [name for name in conditions.registry.names() if name != "metric"]
        fit = [n for n in known if self._has_classes or not conditions.registry.get(n).of_classes]
        return [*self._metrics, *fit]

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


def read_gates(
    node: Node | None,
    phases: Sequence[Phase],
    problems: Problems,
    *,
    task: Task,
    baselines: Sequence[str],
) -> tuple[Gate, ...]:
    """The gates of a plan, in the order in which they are asked.

    Args:
        node: the list under ``gates``, if any.
        phases: of the plan.
        problems: what is found wrong is added here.
        task: says what can be asked about.
        baselines: of the spec, by name.
    """
    if node is None:
        return ()
    if not isinstance(node.value, tuple):
        example = "Write for example gates: [{when: {accuracy: {at_least: 0.8}}, then: succeed}]."
        problems.add(node, f"{node.shown()} is not a list of gates. {example}")
        return ()
    if not phases:
        problems.add(node, f"gates stand between phases, and there are none. {EXAMPLE}")
        return ()
    family = Conditions(task)
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
        if key not in _KEYS:
            problems.add(child, f"no key '{key}' here. {nearest(key, _KEYS)}")
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
    return action, None if rows is None else int(rows)


def _check_shrink(
    node: Node, rows: int | None, phases: Sequence[Phase], problems: Problems
) -> None:
    if rows is not None and all(p.rows is not None and rows >= p.rows for p in phases):
        most = max(p.rows or 0 for p in phases)
        text = f"{rows} rows are no fewer than the {most} that the phase has. Lower rows."
        problems.add(node, text)
