"""Writes YAML that both this package and any YAML 1.1 reader understand alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from toprung.spec.tree import RESOLVERS
from toprung.trial.space import Choice, Float, Parameter, Scalar, Space


class _Dumper(yaml.SafeDumper):
    """Quotes every text that YAML 1.1 or 1.2 would take for something else."""

    def ignore_aliases(self, data: Any) -> bool:
        """Every value is written out."""
        return True


for _name, _pattern, _first in RESOLVERS:
    _Dumper.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", _pattern, _first)


def dump(tree: Mapping[str, Any]) -> str:
    """YAML text of a plain tree, keys in the tree's order, inner values on one line.

    >>> print(dump({"a": ["1e-5", "no", 1e-5], "b": {"c": {}}}), end="")
    a: ['1e-5', 'no', 1.0e-05]
    b:
      c: {}
    """
    text: str = yaml.dump(
        dict(tree),
        Dumper=_Dumper,
        sort_keys=False,
        default_flow_style=None,
        allow_unicode=True,
        width=100,
    )
    return text


def space_tree(space: Space) -> dict[str, Any]:
    """The space in the grammar of the YAML."""
    return {name: _parameter(parameter) for name, parameter in space.parameters.items()}


def component_tree(name: str, options: Mapping[str, Scalar]) -> Any:
    """``name``, or ``{name: {options}}`` where there are options."""
    return {name: dict(options)} if options else name


def _parameter(parameter: Parameter) -> Any:
    if isinstance(parameter, Choice):
        if any(option.space.parameters for option in parameter.options):
            return {str(o.value): space_tree(o.space) for o in parameter.options}
        values = parameter.values
        return values[0] if len(values) == 1 else values
    kind = "float" if isinstance(parameter, Float) else "int"
    tree: dict[str, Any] = {kind: [parameter.low, parameter.high]}
    if parameter.log:
        tree["log"] = True
    if not isinstance(parameter, Float) and parameter.step != 1:
        tree["step"] = parameter.step
    return tree
