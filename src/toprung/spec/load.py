"""From the YAML of a search to its checked values; all problems are told at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from toprung.core.catalogue import catalogue_names, find_catalogue_file
from toprung.core.errors import FixSpec, Problem
from toprung.core.registry import nearest
from toprung.spec.nodes import MOST_PROBLEMS, Problems, TooManyProblems, has_controls, shown
from toprung.spec.overrides import override
from toprung.spec.reader import REQUIRED, read_spec
from toprung.spec.spec import SearchSpec
from toprung.spec.tree import MAX_BYTES, read_tree


def load_spec(path: str | Path, overrides: Sequence[str] = ()) -> SearchSpec:
    """The checked spec of a YAML file or of a name in the catalogue.

    Args:
        path: a path that ends in .yaml, or a name such as ``quickstart``.
        overrides: ``key=value`` from the command line, laid over the file.

    Raises:
        FixSpec: with every problem, its line, the value, what is allowed and the next step.
    """
    found = find_catalogue_file("search", str(path))
    if found is None:
        text = f"no search {shown(str(path))}. {nearest(str(path), catalogue_names('search'))}"
        raise FixSpec(_printable(str(path)), [f"{text} A path ends in .yaml."])
    try:
        with found.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise FixSpec(_printable(str(found)), [f"cannot be read: {error.strerror}."]) from error
    return parse_spec(data, path=found, overrides=overrides)


def parse_spec(data: bytes, *, path: str | Path, overrides: Sequence[str] = ()) -> SearchSpec:
    """The checked spec of a YAML text.

    Args:
        data: the text's bytes, UTF-8.
        path: of the file; gives the name and the folder that relative paths start from.
        overrides: ``key=value`` from the command line.

    Raises:
        FixSpec: with every problem.
    """
    problems = Problems()
    spec = None
    try:
        spec = _read(data, Path(path), overrides, problems)
    except TooManyProblems:
        problems[-1:] = [Problem("", f"more than {MOST_PROBLEMS} problems; is this a search?")]
    if spec is None:
        ordered = sorted(problems, key=lambda p: (p.line is None, p.line or 0))
        raise FixSpec(_printable(str(path)), ordered)
    return spec


def _read(
    data: bytes, path: Path, overrides: Sequence[str], problems: Problems
) -> SearchSpec | None:
    root = read_tree(data, problems)
    if root is not None and not isinstance(root.value, Mapping):
        what = "is empty" if root.value is None else f"is {root.shown()}, not a mapping"
        text = f"the file {what}. Write at least {', '.join(REQUIRED)}, each as key: value."
        problems.append(Problem("", text, root.line))
        return None
    return read_spec(override(root, overrides, problems), path, problems) if root else None


def _printable(path: str) -> str:
    return repr(path) if has_controls(path) else path
