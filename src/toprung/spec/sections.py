"""The small sections of a spec: data, budget, trial, and reading any of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from toprung.core.registry import nearest
from toprung.data import tasks
from toprung.data.source import DataSource
from toprung.spec.choices import read_component
from toprung.spec.domain import read_scalar
from toprung.spec.families import Components
from toprung.spec.fields import Field, field, fields_of
from toprung.spec.nodes import Node, Problems
from toprung.trial.space import Scalar

Precision = Literal["auto", "float32", "bfloat16"]
BUDGET = {
    "trials": field("trials", int, default=24),
    "minutes": field("minutes", float | None),
    "disk_gib": field("disk_gib", float | None),
}
TRIAL = {
    "cpus": field("cpus", int, default=1),
    "gpus": field("gpus", float | None),
    "precision": field("precision", Precision, default="auto"),
    "cache_gib": field("cache_gib", float | None),
    "memory_gib": field("memory_gib", float | None),
    "cpus_alone": field("cpus_alone", int | None),
}
SEED = field("seed", int, default=0)
_DATA = fields_of(DataSource, leave_out=("corpus", "corpus_options", "task"))


def read_fields(
    node: Node | None, fields: Mapping[str, Field], problems: Problems
) -> dict[str, Scalar]:
    """The values that a section gives, those that fit only; an absent section gives none."""
    if node is None:
        return {}
    if not isinstance(node.value, Mapping):
        example = f"Write it as a mapping with some of: {', '.join(fields)}."
        problems.add(node, f"{node.shown()} is not a mapping. {example}")
        return {}
    found: dict[str, Scalar] = {}
    for key, child in node.items.items():
        if key not in fields:
            problems.add(child, f"no key '{key}' here. {nearest(key, list(fields))}")
            continue
        for value in read_scalar(child, fields[key], problems):
            found[key] = value
    return found


def filled(given: Mapping[str, Scalar], fields: Mapping[str, Field]) -> dict[str, Any]:
    """The values of a section with its defaults."""
    return {name: given.get(name, known.default) for name, known in fields.items()}


def read_data(
    node: Node, base: Path, problems: Problems, *, task: str, keep_base: bool = False
) -> DataSource | None:
    """Where the data lies; None, and why in ``problems``, where the section is wrong.

    Args:
        node: the mapping under ``data``.
        base: folder that relative paths start from.
        problems: what is found wrong is added here.
        task: of the spec; says how the column of labels is called by default.
        keep_base: whether the base counts although no path of the data is relative.
    """
    before = len(problems)
    corpus = node.items.get("corpus")
    rest = {key: child for key, child in node.items.items() if key != "corpus"}
    known = {**_DATA, "corpus": field("corpus", str)}
    plain = Node(node.place, node.line, rest) if isinstance(node.value, Mapping) else node
    given: dict[str, Any] = dict(read_fields(plain, known, problems))
    if corpus is not None:
        component = read_component(corpus, Components("corpus"), problems)
        if component:
            given |= {"corpus": component.name, "corpus_options": dict(component.options)}
    if len(problems) > before:
        return None
    paths = [str(given[key]) for key in ("train", "validation", "test", "path") if given.get(key)]
    relative = keep_base or any(not Path(path).is_absolute() for path in paths)
    kind = tasks.registry.get(task)
    given.setdefault("text", kind.text_column)
    given.setdefault("label", kind.label_column)
    if kind.references_column:
        given.setdefault("references", kind.references_column)
    # What lies below the working directory alone is found from any other one too.
    here = [path for path in paths if not Path(path).is_absolute()]
    if here and all(Path(path).exists() and not (base / path).exists() for path in here):
        base = base if keep_base else Path.cwd()
    source = DataSource(**{**given, "task": task, "base": str(base) if relative else "."})
    for problem in source.problems():
        problems.add(node.items.get(problem.where, node), problem.text)
    return source if len(problems) == before else None
