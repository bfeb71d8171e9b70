"""A recorded surface as a table: what each configuration scored and cost at each point."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from predictions import read_arrays
from space import HERE, POINTS, read_space

from toprung.api.shapes import cost_of
from toprung.search.searchers._base import Cost
from toprung.trial.space import Choice, Scalar, Space, Values

Floats = NDArray[np.float64]
METRIC = "accuracy"
ASSUMED_NOISE = 0.02  # between seeds, while none were recorded
# A suggestion is answered within its kind of adapter, as long as one is left there.
WEIGHTS = {"adapter": 100.0, "adapter.lora.layers": 10.0, "learning_rate": 4.0}


@dataclass(frozen=True)
class Surface:
    """N configurations on one data set.

    Attributes:
        name: of the data set.
        numbers: of the configurations in the list that all data sets share.
        values: of each configuration.
        scores: (N, P) validation score at each point; NaN from where training diverged.
        costs: (N, P) CPU-seconds until then.
        truth: (N,) the last score as recorded; ``scores`` of copies carry noise, this does not.
        right: (N, R) whether each validation row was predicted right at the last point.
        labels: (R,) true class of each row.
        noise: (M, P) by how much other seeds of a configuration differ from their mean.
    """

    name: str
    numbers: Sequence[int]
    values: Sequence[Mapping[str, Scalar]]
    scores: Floats
    costs: Floats
    truth: Floats
    right: NDArray[np.bool_]
    labels: NDArray[np.int64]
    noise: Floats

    def __len__(self) -> int:
        return len(self.values)

    @property
    def best(self) -> float:
        """The best score that is to be had here."""
        return float(np.nanmax(self.truth))

    @property
    def full_cost(self) -> float:
        """CPU-seconds of a full training, the mean over all configurations."""
        return float(np.nanmean(self.costs[:, -1]))

    def keep(self, numbers: Sequence[int]) -> Surface:
        """The surface of some configurations only, in the order of their numbers."""
        rows = [row for row, number in enumerate(self.numbers) if number in set(numbers)]
        return replace(
            self,
            numbers=[self.numbers[row] for row in rows],
            values=[self.values[row] for row in rows],
            scores=self.scores[rows],
            costs=self.costs[rows],
            truth=self.truth[rows],
            right=self.right[rows],
        )

    def copies(self, count: int, seed: int) -> Surface:
        """At least ``count`` configurations: after the recorded ones, copies of them.

        A copy has the curve of another seed: the recorded one plus a difference drawn from those
        that were measured between seeds, and up to 10 % more or less cost. What a copy is worth
        is what was recorded, so noise wins nothing.
        """
        times = -(-count // len(self))
        if times == 1:
            return self
        chance = np.random.default_rng(seed)
        extra = (times - 1) * len(self)
        if len(self.noise):
            drawn = self.noise[chance.integers(0, len(self.noise), extra)]
        else:
            drawn = chance.normal(0.0, ASSUMED_NOISE, (extra, len(POINTS)))
        pace = chance.uniform(0.9, 1.1, (extra, 1))
        return replace(
            self,
            numbers=list(self.numbers) * times,
            values=list(self.values) * times,
            scores=np.vstack([self.scores, np.tile(self.scores, (times - 1, 1)) + drawn]),
            costs=np.vstack([self.costs, np.tile(self.costs, (times - 1, 1)) * pace]),
            truth=np.tile(self.truth, times),
        )


def read_surface(name: str, folder: Path = HERE) -> Surface:
    """What record.py has written so far."""
    path = folder / f"{name}.jsonl"
    texts = path.read_text().splitlines(keepends=True)
    lines = [json.loads(text) for text in texts if text.endswith("\n")]
    arrays = read_arrays(folder / f"{name}.npz")
    labels = arrays["labels"].astype(np.int64)
    first = sorted((x for x in lines if x["replica"] == 0), key=lambda x: x["number"])
    scores = np.array([_column(line, METRIC) for line in first])
    nothing = np.zeros((len(labels), 1), dtype=np.uint8)
    likeliest = [arrays.get(f"t{x['number']:04d}.0", nothing)[:, 0] for x in first]
    return Surface(
        name,
        [line["number"] for line in first],
        [line["values"] for line in first],
        scores,
        np.array([_column(line, "cpu_seconds") for line in first]),
        scores[:, -1],
        np.array(likeliest) == labels,
        labels,
        _noise(lines),
    )


def read_both(names: Sequence[str], folder: Path = HERE) -> list[Surface]:
    """Several surfaces with the configurations that all of them have, row by row the same."""
    found = [read_surface(name, folder) for name in names]
    shared = sorted(set.intersection(*(set(surface.numbers) for surface in found)))
    return [surface.keep(shared) for surface in found]


def _column(line: Mapping[str, Any], name: str) -> list[float]:
    found = [float(point[name]) for point in line["points"]]
    return found + [math.nan] * (len(POINTS) - len(found))


def _noise(lines: Sequence[Mapping[str, Any]]) -> Floats:
    """Differences of replicas from their configuration's mean; none where nothing was repeated."""
    again = {line["number"] for line in lines if line["replica"]}
    found = []
    for number in sorted(again):
        curves = np.array([_column(x, METRIC) for x in lines if x["number"] == number])
        spread = (curves - curves.mean(axis=0)) * math.sqrt(len(curves) / (len(curves) - 1))
        found += [row for row in spread if np.isfinite(row).all()]
    return np.array(found).reshape(-1, len(POINTS))


class Nearest:
    """From any configuration of the space to the recorded one nearest to it.

    Numbers are scaled to [0, 1] over their domain, in the logarithm where the space says so;
    other choices differ by 1. The adapter counts above all, then its layers, then the rate.
    """

    def __init__(self, space: Space, values: Sequence[Values]) -> None:
        self._parameters = dict(space.walk())
        self._weights = np.array([WEIGHTS.get(name, 1.0) for name in self._parameters])
        self._codes = np.array([self._encode(one) for one in values])
        self._free = np.ones(len(values), dtype=bool)
        self._choices = np.array([isinstance(p, Choice) for p in self._parameters.values()])

    def take(self, values: Values) -> int | None:
        """The nearest configuration that was not taken yet; None where none is left."""
        if not self._free.any():
            return None
        gaps = np.abs(self._codes - self._encode(values))
        gaps = np.where(np.isnan(gaps), 0.0, np.where(self._choices, gaps > 0, gaps))
        distances = (gaps**2) @ self._weights
        row = int(np.argmin(np.where(self._free, distances, np.inf)))
        self._free[row] = False
        return row

    def claim(self, row: int) -> int:
        """Takes one configuration by its row."""
        self._free[row] = False
        return row

    def _encode(self, values: Values) -> Floats:
        return np.array([self._code(name, values) for name in self._parameters])

    def _code(self, name: str, values: Values) -> float:
        if name not in values:
            return math.nan
        parameter, value = self._parameters[name], values[name]
        if isinstance(parameter, Choice):
            return float(parameter.values.index(value))
        low, high, x = float(parameter.low), float(parameter.high), float(value or 0)
        if parameter.log:
            low, high, x = math.log(low), math.log(high), math.log(x)
        return (x - low) / max(1e-12, high - low)


def space_of_surfaces() -> Space:
    """The space that the configurations were drawn from."""
    return read_space().space


@cache
def cost_of_surfaces() -> Cost:
    """What a search over that space takes configurations to cost; not what they were seen to."""
    return partial(cost_of, cards=read_space().cards)
