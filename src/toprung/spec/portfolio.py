"""Configurations that did well on other data, fitted to the space of a search."""

from __future__ import annotations

from importlib.resources import files

from toprung.core.registry import nearest
from toprung.learn.settings import Settings
from toprung.spec.first import flatten
from toprung.spec.nodes import Node, Problems
from toprung.spec.tree import read_tree
from toprung.trial.space import Choice, Float, Parameter, Scalar, Space, Values

NAME = "portfolio"


def read_portfolio(node: Node, space: Space, problems: Problems) -> tuple[Values, ...]:
    """The configurations of portfolio.yaml that a space has room for, most helpful first.

    One whose adapter the space lacks is left out. Of the others the deepest backbone is taken,
    what the space does not have is dropped, and a number outside of its bounds moves to the
    nearest one inside. What a configuration does not name takes the trainer's default, or else
    the nearest or first value there is. Those that become equal count once.

    Args:
        node: the value of ``first``: the word ``portfolio``.
        space: of the search.
        problems: another word goes in here.
    """
    if node.value != NAME:
        text = f"{node.shown()} is neither a list nor '{NAME}'. {nearest(str(node.value), [NAME])}"
        problems.add(node, text)
        return ()
    data = files("toprung.spec").joinpath(f"{NAME}.yaml").read_bytes()
    root = read_tree(data, problems)
    assert root is not None
    assert isinstance(root.value, tuple), "portfolio.yaml is a list"
    found: list[Values] = []
    for entry in root.value:
        known = {name: child.value for name, child in flatten(entry, "", problems)}
        values = _fit(known, space)  # type: ignore[arg-type]
        if values is not None and values not in found:
            found.append(values)
    return tuple(found)


def _fit(known: Values, space: Space) -> Values | None:
    adapter = space.parameters.get("adapter")
    if isinstance(adapter, Choice) and not adapter.contains(known.get("adapter")):
        return None
    return space.fill(lambda name, parameter: _nearest(name, parameter, known))


def _nearest(name: str, parameter: Parameter, known: Values) -> Scalar:
    wanted = known.get(name, getattr(Settings, name, None))
    numeric = isinstance(wanted, int | float) and not isinstance(wanted, bool)
    if isinstance(parameter, Choice):
        if name.endswith(".depth"):
            return max(parameter.values, key=lambda value: int(value or 0))
        if parameter.contains(wanted):
            return wanted
        numbers = [v for v in parameter.values if isinstance(v, int | float)]
        if numeric and numbers:
            return min(numbers, key=lambda value: abs(value - wanted))  # type: ignore[operator]
        return parameter.values[0]
    if not numeric:
        return parameter.grid(3)[1]
    inside = min(parameter.high, max(parameter.low, wanted))  # type: ignore[type-var]
    if isinstance(parameter, Float):
        return float(inside)  # type: ignore[arg-type]
    return min(parameter.grid(10**6), key=lambda value: abs(int(value or 0) - inside))  # type: ignore
