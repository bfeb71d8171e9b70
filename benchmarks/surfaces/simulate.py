"""Plays searches on the recorded surfaces and writes what each method finds, and when.

    python benchmarks/surfaces/simulate.py --processes 2

reads what record.py has recorded so far and writes ``simulation.json`` and, from it, ``TABLE.md``
beside this file. Every search goes through the production scheduler, searcher and driver on the
virtual clock. The same recordings and options give the same files.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from playing import BestOfFirstRung, Curve, Method, play
from portfolio import best, greedy
from space import DATASETS, HERE, POINTS
from surface import Surface, read_both
from synthetic import make_surface
from table import render

import toprung.search
from toprung.core.files import write_json, write_text
from toprung.core.seeds import derive_seed
from toprung.search.schedulers.asha import Asha
from toprung.search.schedulers.fifo import Fifo
from toprung.search.searchers._base import Searcher
from toprung.search.searchers.grid import Grid
from toprung.search.searchers.random import Random
from toprung.search.searchers.tpe import Tpe
from toprung.trial.space import Space

# Workers: (most trials, length of the search in mean full trainings).
SETTINGS = {1: (100, 32), 4: (100, 16), 16: (100, 8), 64: (100, 4), 256: (256, 4), 1024: (1024, 4)}
BEST = 10
NEAR = 0.01
WARM, REFINED = 16, 4  # most workers of warm starts; workers of refinements
RESAMPLES = 2000
PROMOTE, STOP = partial(Asha, rule="promote"), partial(Asha, rule="stop")


@dataclass(frozen=True)
class Cell:
    """One method on one surface with so many workers."""

    surface: str
    method: str
    workers: int


class Costless(Tpe):
    """TPE that does not know what configurations cost."""

    def prepare(self, space: Space, seed: int, first: Any = (), *, cost: Any = None) -> None:
        super().prepare(space, seed, first)


class Idle(Asha):
    """ASHA that trains no finalists ahead where a slot is free."""

    def ahead(self) -> None:
        return None


def cold_methods(trials: int, tpe: Callable[[], Searcher]) -> Iterator[Method]:
    """Every searcher with every way to stop early."""
    one_rung = partial(BestOfFirstRung, trials, BEST)

    yield Method("grid, all to the end", Fifo, Grid)
    for name, searcher in (("random", Random), ("TPE", tpe)):
        yield Method(f"{name}, all to the end", Fifo, searcher)
        yield Method(f"{name}, first rung then best {BEST}", one_rung, searcher)
        yield Method(f"{name}, ASHA stop", STOP, searcher)
        yield Method(f"{name}, ASHA promote", PROMOTE, searcher)
        yield Method(f"{name}, ASHA eager", Asha, searcher)


def warm_methods(other: Surface, tpe: Callable[[], Searcher]) -> Iterator[Method]:
    """Searches that begin with configurations that were good on the other surface."""
    yield Method("TPE, ASHA eager, best 5 of the other first", Asha, tpe, best(other, 5))
    for size in (3, 5, 8):
        chosen = greedy([other], size)
        yield Method(f"TPE, ASHA eager, portfolio of {size} first", Asha, tpe, chosen)
    chosen = greedy([other], 5)
    yield Method("TPE, ASHA stop, portfolio of 5 first", STOP, tpe, chosen)
    yield Method("random, ASHA eager, portfolio of 5 first", Asha, Random, chosen)
    yield Method("TPE, all to the end, portfolio of 5 first", Fifo, tpe, chosen)


def refinements() -> Iterator[Method]:
    """Options of the default, one changed at a time."""
    yield Method("default: eager, η 3, startup 10", Asha, Tpe)
    yield Method("η 9", partial(Asha, reduction_factor=9), Tpe)
    yield Method("lowest rung 3 times as high", Asha, Tpe, minimum=POINTS[1])
    yield Method("2 brackets", partial(Asha, brackets=2), Tpe)
    yield Method("stop, lowest rung 3 times as high", STOP, Tpe, (), POINTS[1])
    yield Method("no cheap ones first", Asha, Costless)
    yield Method("no finalists ahead", Idle, Tpe)
    for startup in (5, 20, 40):
        yield Method(f"startup {startup}", Asha, partial(Tpe, startup=startup))


def methods_of(name: str, surfaces: Sequence[Surface], workers: int) -> list[Method]:
    other = next(surface for surface in surfaces if surface.name != name)
    trials = SETTINGS[workers][0]
    # Where all suggestions are asked for before the first report, TPE only draws at random, slowly.
    tpe = Random if workers >= trials else Tpe
    found = list(cold_methods(trials, tpe))
    found += warm_methods(other, tpe) if workers <= WARM else []
    return found + (list(refinements()) if workers == REFINED else [])


def play_cell(cell: Cell, surfaces: Sequence[Surface], seeds: int) -> dict[str, Any]:
    """The outcome of one method over all seeds."""
    surface = next(one for one in surfaces if one.name == cell.surface)
    method = next(
        m for m in methods_of(cell.surface, surfaces, cell.workers) if m.name == cell.method
    )
    trials, length = SETTINGS[cell.workers]
    seconds = length * surface.full_cost
    played = [
        play(
            surface,
            method,
            workers=cell.workers,
            trials=trials,
            seed=derive_seed(seed, "simulate"),
            seconds=seconds,
        )
        for seed in range(seeds)
    ]
    unit, runs = surface.full_cost, [one.curve for one in played]
    reached = [_moment(run, surface.best - NEAR, seconds) / unit for run in runs]
    return {
        **vars(cell),
        "length": length,
        "reached": float(np.mean([moment < length for moment in reached])),
        "time_to_near": _interval(reached),
        "end": _interval([one.end / unit for one in played]),
        "regret_quarter": _interval([100 * _regret(run, surface, seconds / 4) for run in runs]),
        "regret_half": _interval([100 * _regret(run, surface, seconds / 2) for run in runs]),
        "regret_end": _interval([100 * _regret(run, surface, seconds) for run in runs]),
    }


def play_cells(
    cells: Sequence[Cell], surfaces: Sequence[Surface], options: argparse.Namespace
) -> list[dict[str, Any]]:
    """The outcomes of all cells; those that were played before by the same code are looked up."""
    path = options.work / f"cells-{_digest(surfaces, options.seeds)}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    found = [json.loads(line) for line in lines if line.endswith("\n")]
    known = {Cell(x["surface"], x["method"], x["workers"]): x for x in found}
    missing = [cell for cell in cells if cell not in known]
    work = partial(play_cell, surfaces=surfaces, seeds=options.seeds)
    with ProcessPoolExecutor(options.processes) as pool, path.open("a") as file:
        for cell, outcome in zip(missing, pool.map(work, missing), strict=True):
            known[cell] = outcome
            file.write(json.dumps(outcome) + "\n")
            file.flush()
            print(f"{cell.surface}, {cell.workers} workers: {cell.method}", flush=True)
    return [known[cell] for cell in cells]


def _digest(surfaces: Sequence[Surface], seeds: int) -> str:
    """A hash of everything that the outcomes depend on."""
    digest = hashlib.sha256(f"{seeds}".encode())
    for surface in surfaces:
        digest.update(surface.name.encode() + surface.scores.tobytes() + surface.costs.tobytes())
        digest.update(surface.right.tobytes() + surface.noise.tobytes())
    code = [*HERE.glob("*.py"), *Path(toprung.search.__file__).parent.rglob("*.py")]
    for file in sorted(code):
        if file.name not in ("table.py", "record.py"):
            digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def _moment(run: Curve, wanted: float, latest: float) -> float:
    return min(latest, next((at for at, score in run if score >= wanted), latest))


def _regret(run: Curve, surface: Surface, at: float) -> float:
    return surface.best - max(score for moment, score in run if moment <= at)


def _interval(found: Sequence[float]) -> dict[str, float]:
    """The mean over seeds with its 95 % bootstrap interval."""
    chance, values = np.random.default_rng(0), np.asarray(found)
    means = values[chance.integers(0, len(values), (RESAMPLES, len(values)))].mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return {name: round(float(x), 3) for name, x in
            (("mean", values.mean()), ("low", low), ("high", high))}  # fmt: skip


def describe(surface: Surface) -> dict[str, Any]:
    """What the table says of a surface: how good, how dear, how telling its rungs are."""
    ranks = np.argsort(np.argsort(np.nan_to_num(surface.scores), axis=0), axis=0)
    return {
        "name": surface.name,
        "configurations": len(surface),
        "best": surface.best,
        "near": int((surface.truth >= surface.best - NEAR).sum()),
        "full_cost": round(surface.full_cost, 2),
        "cheapest": round(float(np.nanmin(surface.costs[:, -1])), 2),
        "dearest": round(float(np.nanmax(surface.costs[:, -1])), 2),
        "rank_correlation": [
            round(float(np.corrcoef(ranks[:, at], ranks[:, -1])[0, 1]), 3)
            for at in range(len(POINTS))
        ],
        "cost_share": [round(float(x), 3) for x in surface.costs.mean(axis=0) / surface.full_cost],
        "seed_noise": [
            round(float(x), 4) for x in (surface.noise.std(axis=0) if len(surface.noise) else ())
        ],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--workers", type=int, nargs="*", default=list(SETTINGS), choices=SETTINGS)
    parser.add_argument("--methods", help="only those whose name this regular expression finds")
    parser.add_argument("--quick", action="store_true", help="2 seeds, 4 workers")
    parser.add_argument("--synthetic", action="store_true", help="made-up surfaces")
    parser.add_argument("--recorded", type=Path, default=HERE, help="folder of the recordings")
    parser.add_argument("--out", type=Path, default=HERE)
    parser.add_argument("--work", type=Path, default=HERE.parents[1] / "results" / "surfaces")
    options = parser.parse_args()
    if options.quick:
        options.seeds, options.workers = min(2, options.seeds), [4]
    surfaces = (
        [make_surface(name, seed) for seed, name in enumerate(DATASETS)]
        if options.synthetic
        else read_both(DATASETS, options.recorded)
    )
    cells = [
        Cell(surface.name, method.name, workers)
        for workers in options.workers
        for surface in surfaces
        for method in methods_of(surface.name, surfaces, workers)
    ]
    if options.methods:
        cells = [cell for cell in cells if re.search(options.methods, cell.method)]
    outcomes = play_cells(cells, surfaces, options)
    found = {
        "seeds": options.seeds,
        "points": list(POINTS),
        "synthetic": options.synthetic,
        "surfaces": [describe(surface) for surface in surfaces],
        "refinements": [method.name for method in refinements()],
        "outcomes": outcomes,
    }
    write_json(options.out / "simulation.json", found)
    write_text(options.out / "TABLE.md", render(found))
    print(f"{options.out / 'TABLE.md'}: {len(outcomes)} cells of {options.seeds} seeds")


if __name__ == "__main__":
    main()
