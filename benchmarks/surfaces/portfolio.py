"""Small lists of configurations to try first, chosen greedily from recorded surfaces.

    python benchmarks/surfaces/portfolio.py

prints the portfolio of all recorded data sets together; simulate.py judges each data set with
the portfolio of the others.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
from space import DATASETS, as_trained
from surface import Floats, Surface, read_both

TASKS = 400


def regrets(surface: Surface, seed: int = 0, tasks: int = TASKS) -> Floats:
    """By how much each configuration misses the best one, on many tasks made from one: (N, T).

    A task is the data set with its classes and then its validation rows drawn again with
    replacement, scored by the recorded predictions. So a configuration counts not only for
    winning here, but also for winning where classes and rows are others.
    """
    chance = np.random.default_rng(seed)
    classes = int(surface.labels.max()) + 1
    drawn = chance.multinomial(classes, np.full(classes, 1 / classes), tasks)
    weights = drawn[:, surface.labels] * chance.poisson(1.0, (tasks, len(surface.labels)))
    weights = weights / np.maximum(1, weights.sum(axis=1, keepdims=True))
    scores = surface.right.astype(np.float64) @ weights.T
    found: Floats = scores.max(axis=0) - scores
    return found


def greedy(surfaces: Sequence[Surface], size: int) -> list[int]:
    """Rows of the configurations that together miss least: each next one helps most.

    Every surface has the same rows. What counts is the regret of the best one chosen so far, mean
    over the tasks of all surfaces.
    """
    every = np.hstack([regrets(surface, seed) for seed, surface in enumerate(surfaces)])
    left = np.full(every.shape[1], np.inf)
    chosen: list[int] = []
    for _ in range(size):
        means = np.minimum(every, left).mean(axis=1)
        means[chosen] = np.inf
        chosen.append(int(np.argmin(means)))
        left = np.minimum(left, every[chosen[-1]])
    return chosen


def best(surface: Surface, size: int) -> list[int]:
    """Rows of the best configurations of one surface."""
    return [int(row) for row in np.argsort(-np.nan_to_num(surface.truth), kind="stable")[:size]]


def main() -> None:
    surfaces = read_both(DATASETS)
    for row in greedy(surfaces, 8):
        scores = {surface.name: round(float(surface.truth[row]), 4) for surface in surfaces}
        print(json.dumps({"scores": scores, **as_trained(surfaces[0].values[row])}))


if __name__ == "__main__":
    main()
