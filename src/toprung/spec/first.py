"""The configurations that are tried before the searcher's own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from toprung.core.registry import nearest
from toprung.spec.nodes import Node, Problems
from toprung.trial.space import Choice, Float, Parameter, Scalar, Space, Values


def read_first(node: Node | None, space: Space, problems: Problems) -> tuple[Values, ...]:
    """Flat configurations from a list in the grammar of the space, or with dotted keys.

    A parameter with a single value may be left out. What does not fit the space is a problem.
    """
    if node is None:
        return ()
    if not isinstance(node.value, tuple):
        text = f"{node.shown()} is not a list of configurations."
        problems.add(node, f"{text} Write for example first: [{{pooling: mean}}].")
        return ()
    return tuple(_read_one(entry, space, problems) for entry in node.value)


def _read_one(node: Node, space: Space, problems: Problems) -> Values:
    if not isinstance(node.value, Mapping):
        problems.add(node, f"{node.shown()} is not a mapping of parameters to values.")
        return {}
    before = len(problems)
    parameters = dict(space.walk())
    given: dict[str, Scalar] = {}
    places: dict[str, Node] = {}
    for name, child in flatten(node, "", problems):
        places[name] = child
        if child.scalar:
            given[name] = _fit(parameters.get(name), child.value)  # type: ignore[arg-type]
    if len(problems) > before:
        return given
    values = _complete(given, space)
    for text in space.problems(values):
        name, _, what = text.partition(": ")
        at = places.get(name, Node(f"{node.place}.{name}", node.line, None))
        hint = f" {nearest(name, list(parameters))}" if name not in parameters else ""
        problems.add(at, f"{what}.{hint}" if hint else f"{what}. Choose from the space.")
    return values


def flatten(node: Node, prefix: str, problems: Problems) -> Iterator[tuple[str, Node]]:
    """The values of a configuration by their flat names."""
    for key, child in node.items.items():
        name = prefix + key
        if child.scalar:
            yield name, child
        elif isinstance(child.value, Mapping) and len(child.value) == 1:
            chosen, options = next(iter(child.value.items()))
            yield name, Node(child.place, child.line, chosen)
            if isinstance(options.value, Mapping):
                yield from flatten(options, f"{name}.{chosen}.", problems)
            elif options.value is not None:
                text = f"{options.shown()} is not a mapping of the options of '{chosen}'."
                problems.add(options, f"{text} Write {chosen}: {{option: value}}.")
        else:
            text = f"{child.shown()} is not one value. Write a value, or {{name: {{options}}}}."
            problems.add(child, text)


def _fit(parameter: Parameter | None, value: Scalar) -> Scalar:
    """The value in the parameter's type: 1 where the space says 1.0 becomes 1.0."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    if isinstance(parameter, Float):
        return float(value) if abs(value) < 1e300 else value
    if isinstance(parameter, Choice):
        known = [v for v in parameter.values if v == value and not isinstance(v, bool)]
        return known[0] if known else value
    return value


def _complete(given: Mapping[str, Scalar], space: Space) -> dict[str, Scalar]:
    """The configuration with the parameters that have a single value filled in."""
    values = dict(given)

    def pick(name: str, parameter: Parameter) -> Scalar:
        if isinstance(parameter, Choice) and len(parameter.options) == 1:
            values.setdefault(name, parameter.values[0])
        value = values.get(name)
        return value if parameter.contains(value) else parameter.grid(1)[0]

    space.fill(pick)
    return values
