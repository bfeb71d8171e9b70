"""What a search must beat, and whether an ensemble may have it as a member."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from toprung.data.tasks._base import Task
from toprung.spec.choices import Component, Entry, read_components, read_fixed
from toprung.spec.families import Components, registry
from toprung.spec.nodes import Node, Problems

BASELINES: Mapping[str, Sequence[str]] = {
    "texts": ("majority", "tfidf_logreg"),
    "series": ("majority", "features_logreg", "features_boosting"),
    "summaries": ("lead", "longest_turns"),
}
"""Those of a task that names none, by what it reads, or writes."""


def read_baselines(
    node: Node | None, where: Node, task: Task, problems: Problems
) -> tuple[Component, ...]:
    """The baselines of a search, with all options.

    Args:
        node: what the file says of them; None where it says nothing.
        where: a problem with the task's own ones is told of.
        task: of the search.
        problems: what is found wrong is added here.
    """
    family = Components("baseline")
    fitting = BASELINES["summaries" if task.answers == "texts" else task.reads]
    if node is None:
        found = [Entry(name, where, None) for name in fitting]
        return tuple(Component(e.name, read_fixed(e, family, problems)) for e in found)
    given = read_components(node, family, problems) if node.value != () else ()
    does, what = ("read", task.reads) if task.answers == "classes" else ("write", "summaries")
    for component in given:
        if not _fits(registry("baseline").get(component.name), task):
            text = f"'{component.name}' does not {does} {what}."
            problems.add(node, f"{text} Use {', '.join(fitting)}.")
    return given


def check_joining(
    node: Node, baselines: Sequence[Component], task: Task, problems: Problems
) -> None:
    """Refuses an ensemble that wants baselines of a search that has none which can join.

    Args:
        node: of the wish.
        baselines: of the search.
        task: of the search.
        problems: what is found wrong is added here.
    """
    kinds = registry("baseline")
    if any(kinds.get(component.name).joins for component in baselines):
        return
    able = [n for n in kinds.names() if kinds.get(n).joins and _fits(kinds.get(n), task)]
    text = "none of the baselines of this search can join its ensemble."
    problems.add(node, f"{text} Name {' or '.join(able)} in baselines, or leave this out.")


def _fits(baseline: type[Any], task: Task) -> bool:
    return task.reads in baseline.reads and task.answers == baseline.answers
