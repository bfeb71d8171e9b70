"""One parameter of a space: a fixed value, a choice of values, or an interval."""

from __future__ import annotations

import math
from dataclasses import replace

from toprung.core.registry import nearest
from toprung.spec.fields import Field
from toprung.spec.nodes import Node, Problems
from toprung.trial.space import Choice, Float, Int, Option, Parameter, Scalar

_KEYS = ("float", "int", "log", "step")


def read_scalar(node: Node, field: Field, problems: Problems) -> tuple[Scalar, ...]:
    """The one value of an option, or nothing where it does not fit."""
    if not node.scalar:
        problems.add(node, f"{node.shown()} is not {field.describe()}. Write one value.")
        return ()
    assert not isinstance(node.value, tuple | dict)
    text = field.problem(node.value)  # type: ignore[arg-type]
    if text:
        problems.add(node, text)
        return ()
    return (field.coerce(node.value),)  # type: ignore[arg-type]


def read_parameter(node: Node, field: Field, problems: Problems) -> Parameter | None:
    """A parameter from ``8``, ``[4, 8]``, ``{int: [4, 64], log: true}``; None where it is wrong.

    >>> from toprung.spec.tree import read_tree
    >>> found = Problems()
    >>> node = read_tree(b"{int: [4, 64], log: true}", found)
    >>> read_parameter(node, Field("rank", kinds=(int,)), found)
    Int(low=4, high=64, log=True, step=1)
    """
    if node.scalar:
        value = read_scalar(node, field, problems)
        return Choice((Option(value[0]),)) if value else None
    if isinstance(node.value, tuple):
        return _read_choice(node.value, node, field, problems)
    return _read_interval(node, field, problems)


def _read_choice(
    entries: tuple[Node, ...], node: Node, field: Field, problems: Problems
) -> Parameter | None:
    if not entries:
        problems.add(node, f"an empty choice. Write at least one value: {field.describe()}.")
    options: list[Option] = []
    for entry in entries:
        for value in read_scalar(entry, field, problems):
            if Option(value) in options and type(value) in [type(o.value) for o in options]:
                problems.add(entry, f"{entry.shown()} stands in the choice twice. Keep one.")
            else:
                options.append(Option(value))
    return Choice(tuple(options)) if options else None


def _read_interval(node: Node, field: Field, problems: Problems) -> Parameter | None:
    before = len(problems)
    for key, child in node.items.items():
        if key not in _KEYS:
            problems.add(child, f"no interval has '{key}'. {nearest(key, _KEYS)}")
    kinds = [kind for kind in ("float", "int") if kind in node.items]
    if not field.numeric:
        problems.add(node, f"an interval needs numbers, and this is {field.describe()}.")
    elif len(kinds) != 1:
        both = "both float and int" if kinds else node.shown()
        text = f"{both} is not an interval. Write {{float: [low, high]}} or {{int: [low, high]}}."
        problems.add(node, text)
    elif kinds == ["float"] and float not in field.kinds:
        problems.add(node, "a whole number is needed. Write {int: [low, high]}.")
    if len(problems) > before:
        return None
    log = _option(node, Field("log", kinds=(bool,), default=False), problems)
    step = _option(node, Field("step", kinds=(int,), default=1), problems)
    bounds = _bounds(node.items[kinds[0]], kinds[0], field, problems)
    if log and bounds and bounds[0] <= 0:
        text = f"log: true needs a low bound above 0, not {bounds[0]:g}."
        problems.add(node.items[kinds[0]], f"{text} Raise it, or leave log out.")
    _check_step(node, kinds[0], problems, bounds=bounds, log=bool(log))
    if len(problems) > before or not bounds:
        return None
    if kinds == ["float"]:
        return Float(float(bounds[0]), float(bounds[1]), bool(log))
    return Int(int(bounds[0]), int(bounds[1]), bool(log), int(step or 1))


def _option(node: Node, field: Field, problems: Problems) -> Scalar:
    if field.name not in node.items:
        return field.default
    return next(iter(read_scalar(node.items[field.name], field, problems)), field.default)


def _bounds(node: Node, kind: str, field: Field, problems: Problems) -> tuple[float, float] | None:
    example = f"Write {{{kind}: [low, high]}}."
    if not isinstance(node.value, tuple) or len(node.value) != 2:
        problems.add(node, f"{node.shown()} is not a list of two bounds. {example}")
        return None
    number = replace(field, kinds=(int,) if kind == "int" else (float,), choices=())
    number = replace(number, nullable=False, default=None)
    values = [v for child in node.value for v in read_scalar(child, number, problems)]
    if len(values) != 2:
        return None
    low, high = (float(v) if kind == "float" else v for v in values)  # type: ignore[arg-type]
    assert isinstance(low, int | float)
    assert isinstance(high, int | float)
    if low > high:
        text = f"the bounds are swapped: {low:g} is above {high:g}. Write [{high:g}, {low:g}]."
        problems.add(node, text)
        return None
    if low == high:
        problems.add(node, f"both bounds are {low:g}. Write the value alone: {low:g}.")
        return None
    return low, high


def _check_step(
    node: Node, kind: str, problems: Problems, *, bounds: tuple[float, float] | None, log: bool
) -> None:
    step = node.items.get("step")
    if step is None or not isinstance(step.value, int) or isinstance(step.value, bool):
        return
    if kind == "float" or log:
        what = "log: true" if log else "float"
        problems.add(step, f"step does not go with {what}. Leave one of them out.")
    elif step.value < 1:
        problems.add(step, f"{step.value} is not a whole number of at least 1. For example: 1.")
    elif bounds and step.value > bounds[1] - bounds[0]:
        text = f"{step.value} is wider than the interval of {bounds[1] - bounds[0]:g}. Lower it."
        problems.add(step, text)


def count(parameter: Parameter) -> int | None:
    """How many values a parameter has, those of nested parameters multiplied; None if endless.

    >>> count(Int(4, 8, step=2)), count(Float(0.0, 1.0))
    (3, None)
    """
    if isinstance(parameter, Float):
        return None
    if isinstance(parameter, Int):
        return len(range(parameter.low, parameter.high + 1, 1 if parameter.log else parameter.step))
    total = 0
    for option in parameter.options:
        counts = [count(nested) for nested in option.space.parameters.values()]
        known = [number for number in counts if number is not None]
        if len(known) < len(counts):
            return None
        total += math.prod(known)
    return total
