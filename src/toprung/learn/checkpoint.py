"""Checkpoints of a trial: whole or absent, hashed, and the newest sound one is found."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from toprung.core.files import new_folder, read_json, sha256_file, write_json
from toprung.trial.report import Metric, Report

PARTIAL = "partial"
WEIGHTS, TRAINING, STATE, MANIFEST = (
    "weights.safetensors",
    "training.safetensors",
    "state.json",
    "manifest.json",
)
FOREIGN = (LookupError, TypeError, ValueError, AttributeError, RuntimeError, ArithmeticError)
"""What comes of values in files that others wrote; a header of safetensors too is such a file."""
Tensors = dict[str, torch.Tensor]
State = dict[str, Any]


@dataclass(frozen=True)
class Snapshot:
    """All that training needs to go on as if it had never stopped.

    Attributes:
        weights: trained parameters by name; frozen ones are named by the backbone's hash.
        training: moments of the optimiser and states of random generators.
        state: JSON: position, sums, schedule, reports so far, and what the model is made of.
    """

    weights: Tensors
    training: Tensors
    state: Mapping[str, Any] = field(default_factory=dict)


@contextmanager
def checkpoint_beside(folder: Path, weights: Tensors, training: Tensors) -> Iterator[State]:
    """Writes a checkpoint's tensors while the block works; the block says the state.

    The tensors must not change before the block ends. The checkpoint appears under its name
    whole, with its manifest, or not at all.
    """
    state: State = {}
    with new_folder(folder) as aside, ThreadPoolExecutor(max_workers=1) as beside:
        writing = beside.submit(_write_tensors, aside, weights, training)
        yield state
        hashes = writing.result()
        write_json(aside / STATE, state)
        hashes[STATE] = sha256_file(aside / STATE)
        write_json(aside / MANIFEST, {"sha256": hashes})


def save_checkpoint(folder: Path, snapshot: Snapshot) -> None:
    """Writes a checkpoint; it appears under its name whole, with its manifest, or not at all."""
    with checkpoint_beside(folder, snapshot.weights, snapshot.training) as state:
        state.update(snapshot.state)


def load_checkpoint(folder: Path) -> Snapshot | None:
    """The checkpoint in a folder, or None where a file of it is missing or not what was written."""
    state = _sound_state(folder, (WEIGHTS, TRAINING, STATE))
    if state is None:
        return None
    try:
        return Snapshot(load_file(folder / WEIGHTS), load_file(folder / TRAINING), state)
    except (OSError, SafetensorError, *FOREIGN):
        return None


def load_trained(folder: Path) -> Snapshot | None:
    """The trained weights and state alone, as for a member of an ensemble; None where broken."""
    state = _sound_state(folder, (WEIGHTS, STATE))
    try:
        return None if state is None else Snapshot(load_file(folder / WEIGHTS), {}, state)
    except (OSError, SafetensorError, *FOREIGN):
        return None


def is_sound(folder: Path) -> bool:
    """Whether weights and state are what was written; loads none of them."""
    return _sound_state(folder, (WEIGHTS, STATE)) is not None


def examples_in(folder: Path) -> int:
    """How many examples a checkpoint had seen that training can go on from; -1 without one."""
    return _examples(_sound_state(folder, (WEIGHTS, TRAINING, STATE)) or {})


def newest_checkpoint(folder: Path, fingerprint: str) -> Snapshot | None:
    """The soundest way on: the checkpoint furthest in training that is whole and fits.

    Args:
        folder: of a trial's checkpoints.
        fingerprint: of the training; checkpoints of another one do not fit.
    """
    found: list[tuple[int, Path]] = []
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.name == PARTIAL or path.name.isdecimal():
            state = _read_state(path)
            if state is not None and state.get("fingerprint") == fingerprint:
                found.append((_examples(state), path))
    for _, path in sorted(found, reverse=True):
        snapshot = load_checkpoint(path)
        if snapshot is not None:
            return snapshot
    return None


def tidy_checkpoints(folder: Path, scores: Mapping[int, float]) -> None:
    """Keeps the last two and the best; of an older best, the weights alone.

    Args:
        folder: of a trial's checkpoints.
        scores: of each resource that was reported, higher is better.
    """
    shutil.rmtree(folder / PARTIAL, ignore_errors=True)
    present = [int(path.name) for path in folder.iterdir() if path.name.isdecimal()]
    whole, trained = kept_checkpoints(present, scores)
    for resource in present:
        if resource in whole:
            continue
        if resource == trained:
            (folder / str(resource) / TRAINING).unlink(missing_ok=True)
        else:
            shutil.rmtree(folder / str(resource), ignore_errors=True)


def kept_checkpoints(
    present: Iterable[int], scores: Mapping[int, float]
) -> tuple[Sequence[int], int | None]:
    """Which checkpoints of a trial are kept whole, and of which one the weights alone.

    >>> kept_checkpoints([1, 3, 9, 27], {1: 0.7, 3: 0.9, 9: 0.8})
    ([9, 27], 3)
    """
    ordered = sorted(present)
    known = [resource for resource in ordered if resource in scores]
    best = max(known, key=lambda resource: scores[resource], default=None)
    last = ordered[-2:]
    return last, None if best in last else best


def comparable_scores(reports: Sequence[Report], metric: Metric) -> dict[int, float]:
    """Scores by resource of the reports that name a checkpoint, where like compares with like."""
    named = [report for report in reports if report.checkpoint is not None]
    most = max((report.metrics["evaluated_rows"] for report in named), default=0)
    return {
        report.resource: metric.rate(report.metrics)
        for report in named
        if metric.name in report.metrics and report.metrics["evaluated_rows"] == most
    }


def _write_tensors(folder: Path, weights: Tensors, training: Tensors) -> dict[str, str]:
    for name, tensors in ((WEIGHTS, weights), (TRAINING, training)):
        save_file(_plain(tensors), folder / name)
    return {name: sha256_file(folder / name) for name in (WEIGHTS, TRAINING)}


def _plain(tensors: Tensors) -> Tensors:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


def _examples(state: Mapping[str, Any]) -> int:
    found = state.get("examples")
    return found if isinstance(found, int) else -1


def _read_state(folder: Path) -> dict[str, Any] | None:
    try:
        state = read_json(folder / STATE)
    except (OSError, ValueError):
        return None
    return state if isinstance(state, dict) else None


def _sound_state(folder: Path, names: Sequence[str]) -> dict[str, Any] | None:
    try:
        hashes = read_json(folder / MANIFEST)["sha256"]
        if any(sha256_file(folder / name) != hashes[name] for name in names):
            return None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return _read_state(folder)
