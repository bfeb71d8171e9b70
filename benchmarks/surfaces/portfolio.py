"""Small lists of configurations to try first, chosen greedily from recorded surfaces.

    python benchmarks/surfaces/portfolio.py

writes the portfolio of all recorded data sets together, which ``first: portfolio`` of a search
begins with; simulate.py judges each data set with the portfolio of the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import yaml
from space import DATASETS, HERE, as_trained
from surface import Floats, Surface, read_both

from toprung.core.files import write_text
from toprung.trial.space import Scalar, Values

SHIPPED = HERE.parents[1] / "src" / "toprung" / "spec" / "portfolio.yaml"
SIZE = 8
HEAD = """\
# Configurations to try first, most helpful first; `first: portfolio` in a search takes them.
# Chosen greedily by benchmarks/surfaces/portfolio.py from {count} configurations recorded on
# {names} with MiniLM; behind each its validation accuracy there.
"""

TASKS = 400
CLASS_SHAPE = 4.0  # of the gamma distribution that shares of classes are drawn from
OWN = 0.05


def regrets(surface: Surface, seed: int = 0, tasks: int = TASKS) -> Floats:
    """By how much each configuration misses the best one, on many tasks made from one: (N, T).

    A task is the data set with other shares of its classes and its validation rows drawn again
    with replacement, scored by the recorded predictions. So a configuration counts not only for
    winning here, but also for winning where classes and rows are others.
    """
    chance = np.random.default_rng(seed)
    shares = chance.gamma(CLASS_SHAPE, 1 / CLASS_SHAPE, (tasks, int(surface.labels.max()) + 1))
    weights = shares[:, surface.labels] * chance.poisson(1.0, (tasks, len(surface.labels)))
    weights = weights / weights.sum(axis=1, keepdims=True)
    scores = surface.right.astype(np.float64) @ weights.T
    found: Floats = scores.max(axis=0) - scores
    return found


def greedy(surfaces: Sequence[Surface], size: int) -> list[int]:
    """Rows of the configurations that together miss least: each next one helps most.

    Every surface has the same rows. What counts is the regret of the best one chosen so far, mean
    over the tasks of all surfaces, and a little the regret of the new one alone.
    """
    every = np.hstack([regrets(surface, seed) for seed, surface in enumerate(surfaces)])
    left = np.full(every.shape[1], np.inf)
    chosen: list[int] = []
    for _ in range(size):
        gains = np.minimum(every, left).mean(axis=1) + OWN * every.mean(axis=1)
        gains[chosen] = np.inf
        chosen.append(int(np.argmin(gains)))
        left = np.minimum(left, every[chosen[-1]])
    return chosen


def best(surface: Surface, size: int) -> list[int]:
    """Rows of the best configurations of one surface."""
    return [int(row) for row in np.argsort(-np.nan_to_num(surface.truth), kind="stable")[:size]]


def as_tree(values: Values) -> dict[str, Any]:
    """A configuration in the grammar of YAML, numbers rounded, the backbone left to the search."""
    tree: dict[str, Any] = {}
    for name, value in values.items():
        if name in ("backbone", "max_length") or "." in name:
            continue
        prefix = f"{name}.{value}."
        options = {k[len(prefix) :]: _short(v) for k, v in values.items() if k.startswith(prefix)}
        tree[name] = {str(value): options} if options else _short(value)
    return tree


def _short(value: Scalar) -> Scalar:
    return float(f"{value:.2g}") if isinstance(value, float) else value


def main() -> None:
    surfaces = read_both(DATASETS)
    lines = [HEAD.format(names=" and ".join(DATASETS), count=len(surfaces[0]))]
    for row in greedy(surfaces, SIZE):
        told = ", ".join(f"{surface.name} {surface.truth[row]:.3f}" for surface in surfaces)
        tree = as_tree(as_trained(surfaces[0].values[row]))
        text = yaml.safe_dump(tree, default_flow_style=True, sort_keys=False, width=10**6).strip()
        lines.append(f"- {text}  # {told}")
    write_text(SHIPPED, "\n".join(lines) + "\n")
    print(SHIPPED.read_text())


if __name__ == "__main__":
    main()
