"""The grammar of every choice: ``name`` or ``{name: {options}}``, one or several."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product

from toprung.core.registry import nearest
from toprung.spec.domain import read_parameter, read_scalar
from toprung.spec.families import Family
from toprung.spec.fields import Field
from toprung.spec.nodes import Node, Problems
from toprung.trial.space import Choice, Option, Parameter, Scalar, Space

_MOST_VALUES = 1024
_MOST_TOGETHER = 8192


@dataclass(frozen=True)
class Component:
    """A component that is fixed for a whole search: its name and all of its options."""

    name: str
    options: Mapping[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True)
class Entry:
    """One name of a choice, where it stands, and its options where there are any."""

    name: str
    node: Node
    options: Node | None


def read_entries(node: Node, family: Family, problems: Problems) -> list[Entry]:
    """The names of a choice, known ones only and each once; the others become problems."""
    found: list[Entry] = []
    for entry in _entries(node, family, problems):
        text = family.unknown(entry.name)
        if text:
            problems.add(entry.node, text)
        elif entry.name in [other.name for other in found]:
            problems.add(entry.node, f"'{entry.name}' stands in the choice twice. Keep one.")
        else:
            found.append(entry)
    return found


def _entries(node: Node, family: Family, problems: Problems) -> Iterator[Entry]:
    if isinstance(node.value, str):
        yield Entry(node.value, node, None)
    elif isinstance(node.value, Mapping) and node.value:
        yield from (_named(name, child, problems) for name, child in node.items.items())
    elif isinstance(node.value, tuple) and node.value:
        for child in node.value:
            if isinstance(child.value, str) or (child.items and len(child.items) == 1):
                yield from _entries(child, family, problems)
            else:
                text = f"{child.shown()} is not one name, nor {{name: {{options}}}}."
                problems.add(child, f"{text} {nearest('', family.names())}")
    else:
        empty = "an empty choice" if node.value in ((), {}) else f"{node.shown()} is not a name"
        problems.add(node, f"{empty}. Write at least one {family.kind}. {_known(family)}")


def _known(family: Family) -> str:
    return nearest("", family.names())


def _named(name: str, child: Node, problems: Problems) -> Entry:
    if child.value is None:
        return Entry(name, child, None)
    if not isinstance(child.value, Mapping):
        text = f"{child.shown()} is not a mapping of the options of '{name}'."
        problems.add(child, f"{text} Write {name}: {{option: value}}.")
        return Entry(name, child, None)
    return Entry(name, child, child)


def read_choice(node: Node, family: Family, problems: Problems) -> Choice | None:
    """A parameter whose values are names, each with its options as nested parameters."""
    options = [
        Option(entry.name, Space(_read_options(entry, family, problems)))
        for entry in read_entries(node, family, problems)
    ]
    return Choice(tuple(options)) if options else None


def _read_options(entry: Entry, family: Family, problems: Problems) -> dict[str, Parameter]:
    found: dict[str, Parameter] = {}
    before = len(problems)
    for name, child, taken in _known_options(entry, family, problems):
        parameter = read_parameter(child, taken, problems)
        if parameter is not None:
            found[name] = parameter
    if len(problems) == before:
        _check_together(entry, family, found, problems)
    return found


def _known_options(
    entry: Entry, family: Family, problems: Problems
) -> Iterator[tuple[str, Node, Field]]:
    if entry.options is None or not entry.options.items:
        return
    fields = family.fields(entry.name)
    for name, child in entry.options.items.items():
        if name in fields:
            yield name, child, fields[name]
        else:
            known = nearest(name, list(fields)) if fields else "It has none: leave it out."
            problems.add(child, f"'{entry.name}' has no option '{name}'. {known}")


def _check_together(
    entry: Entry, family: Family, found: Mapping[str, Parameter], problems: Problems
) -> None:
    """Asks the component itself about both ends of every option, each beside the first ones.

    Where none of those is refused, all that the options may be together is asked, if it is not
    too much to ask.
    """
    ends = {name: _ends(parameter) for name, parameter in found.items()}
    first = {name: values[0] for name, values in ends.items()}
    told: set[str] = set()
    for name, values in ends.items():
        for value in values:
            text = family.refuse(entry.name, {**first, name: value})
            if text and text not in told:
                told.add(text)
                at = entry.options.items[name] if entry.options else entry.node
                problems.add(at, f"{text.rstrip('.')}. Change it, or leave it out.")
    all_values = {name: parameter.grid(_MOST_VALUES) for name, parameter in found.items()}
    if told or math.prod(map(len, all_values.values())) > _MOST_TOGETHER:
        return
    for together in product(*all_values.values()):
        text = family.refuse(entry.name, dict(zip(all_values, together, strict=True)))
        if text:
            at = entry.options or entry.node
            problems.add(at, f"{text.rstrip('.')}. Give values that all fit each other.")
            return


def _ends(parameter: Parameter) -> list[Scalar]:
    if isinstance(parameter, Choice):
        return parameter.values
    return [parameter.low, parameter.high]


def read_components(node: Node, family: Family, problems: Problems) -> tuple[Component, ...]:
    """Components with fixed options, all of their defaults filled in."""
    return tuple(
        Component(entry.name, read_fixed(entry, family, problems))
        for entry in read_entries(node, family, problems)
    )


def read_component(node: Node, family: Family, problems: Problems) -> Component | None:
    """Exactly one component with fixed options; None, and why in ``problems``, where not."""
    before = len(problems)
    found = read_components(node, family, problems)
    if len(found) > 1:
        names = ", ".join(component.name for component in found)
        problems.add(node, f"one {family.kind} is needed, not {len(found)}: {names}. Keep one.")
    return found[0] if len(problems) == before and found else None


def read_fixed(entry: Entry, family: Family, problems: Problems) -> dict[str, Scalar]:
    """The options of a component that is not searched over, with its defaults filled in."""
    before = len(problems)
    given: dict[str, Scalar] = {}
    for name, child, taken in _known_options(entry, family, problems):
        for value in read_scalar(child, taken, problems):
            given[name] = value
    if len(problems) > before:
        return given
    fields = family.fields(entry.name)
    for name in [n for n, f in fields.items() if f.required and n not in given]:
        problems.add(entry.node, f"'{entry.name}' needs {name}: {fields[name].describe()}.")
    text = family.refuse(entry.name, given)
    if text:
        problems.add(entry.node, f"{text.rstrip('.')}. Change it, or leave it out.")
    return {name: given.get(name, f.default) for name, f in fields.items()}
