"""Made-up surfaces in the form of recorded ones, to try the simulation on without recordings."""

from __future__ import annotations

import math

import numpy as np
from space import POINTS, configurations, kind_of
from surface import Surface

COSTS = {"frozen": 3.0, "top_third": 9.0, "top_half": 16.0, "all": 28.0, "full": 47.0}


def make_surface(name: str, seed: int) -> Surface:
    """All configurations of the list with curves that depend on rate, adapter and pooling."""
    chance = np.random.default_rng(seed)
    listed = configurations()
    shares = np.array(POINTS) / POINTS[-1]
    height, speed, costs = [], [], []
    best_rate = math.log(1.5e-3 * (1 + seed))
    for values in listed:
        adapter, layers = kind_of(values)
        off = (math.log(float(values["learning_rate"] or 1)) - best_rate) / 2
        bonus = {"frozen": -0.08, "top_third": -0.03, "top_half": -0.01}.get(layers or adapter, 0)
        height.append(0.88 + bonus - 0.05 * off**2 + chance.normal(0, 0.008))
        speed.append(math.exp(chance.normal(1.0, 0.4)))
        costs.append(
            COSTS[layers or adapter] * (0.7 if values["backbone.minilm.depth"] == 4 else 1)
        )
    learned = 1 - np.exp(-np.outer(speed, shares * 3))
    scores = np.array(height)[:, None] * learned + chance.normal(0, 0.01, learned.shape)
    spent = np.outer(costs, 0.08 + 0.92 * shares)
    labels = chance.integers(0, 10, 500)
    right = chance.random((len(listed), 500)) < scores[:, -1:]
    noise = chance.normal(0, 0.015, (24, len(POINTS)))
    numbers = list(range(1, len(listed) + 1))
    return Surface(name, numbers, listed, scores, spent, scores[:, -1], right, labels, noise)
