"""Values from the command line, ``budget.trials=4``, laid over the tree of a spec."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from toprung.core.errors import Problem
from toprung.spec.nodes import Node, Problems, has_controls, shown
from toprung.spec.tree import read_tree

PREFIX = "command line: "


def override(root: Node, overrides: Sequence[str], problems: Problems) -> Node:
    """The tree with every ``path=value`` laid over it, in their order.

    A path goes through mappings by key and through lists by number; missing mappings are made.
    The value is YAML: ``space.pooling=[cls, mean]``.
    """
    for text in overrides:
        path, equals, value = text.partition("=")
        keys = path.strip().split(".")
        if not equals or not all(keys) or has_controls(path) or len(keys) > 20:
            hint = "is not key=value. Write for example budget.trials=4."
            problems.append(Problem("command line", f"{shown(text)} {hint}"))
            continue
        place = PREFIX + ".".join(keys)
        data = value.encode("utf-8", errors="surrogateescape")
        node = read_tree(data, problems, place=place)
        if node is not None:
            root = _lay(root, keys, node, problems)
    return root


def _lay(node: Node, keys: Sequence[str], new: Node, problems: Problems) -> Node:
    if not keys:
        return new
    key, *rest = keys
    if isinstance(node.value, tuple):
        return _lay_in_list(node, keys, new, problems)
    if node.scalar and node.value is not None and node.value != key:
        text = f"there is {node.shown()}, which has no '{key}'. Set the whole value instead."
        problems.add(new, text)
        return node
    # A bare name takes options: over `scheduler: asha`, scheduler.asha.brackets=2 fits.
    items = dict(node.items)
    under = items.get(key, Node(new.place, None, None))
    items[key] = _lay(under, rest, new, problems)
    return replace(node, value=items)


def _lay_in_list(node: Node, keys: Sequence[str], new: Node, problems: Problems) -> Node:
    assert isinstance(node.value, tuple)
    key, *rest = keys
    if not key.isdecimal() or int(key[:9]) >= len(node.value):
        text = f"there is a list of {len(node.value)}, which has no '{key}'."
        problems.add(new, f"{text} Set the whole list, or one entry by its number from 0.")
        return node
    entries = list(node.value)
    entries[int(key)] = _lay(entries[int(key)], rest, new, problems)
    return replace(node, value=tuple(entries))
