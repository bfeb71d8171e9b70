"""Held-out accuracy of trainings, each kept once it is known, so that a script can go on.

What is kept belongs to the same options, code and rows; any change of them trains anew.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness import ROOT, peer_python, say
from processes import run_process

HERE = Path(__file__).parent
WORK = ROOT / "results" / "bench-training"


@dataclass(frozen=True)
class Size:
    """How long each training is, and how many rows judge it.

    Attributes:
        rows: of train.
        epochs: passes over them.
        held_out: at most; validation first, then rows of train that are left.
        learning_rate: of both sides.
        precision: of both sides.
    """

    rows: int
    epochs: int
    held_out: int
    learning_rate: float = 1e-3
    precision: str = "bfloat16"


def accuracies(
    side: str, folder: Path, size: Size, *, seeds: Sequence[int], layers: str, threads: int
) -> list[float]:
    """Accuracy on held-out rows, one a seed; all seeds have the same rows.

    Args:
        side: ``ours``; ``strong`` with ours's pooling; ``strong_pooler`` with BERT's own.
        folder: of the data set.
        size: of each training.
        seeds: of new weights, the order of rows and dropout.
        layers: ``all`` or ``top_third``.
        threads: of each.
    """
    found = []
    for seed in seeds:
        score = _kept(side, _options(folder, size, seed, layers, threads))
        say(f"{folder.name}, {side}, {layers}, seed {seed}: {score:.4f}")
        found.append(score)
    return found


def _options(folder: Path, size: Size, seed: int, layers: str, threads: int) -> list[str]:
    given = {
        "--data": folder,
        "--rows": size.rows,
        "--epochs": size.epochs,
        "--evaluate": size.held_out,
        "--lr": size.learning_rate,
        "--seed": seed,
        "--layers": layers,
        "--precision": size.precision,
        "--threads": threads,
    }
    return [str(word) for pair in given.items() for word in pair]


def _kept(side: str, options: list[str]) -> float:
    path = WORK / "scores" / f"{_digest(side, options)}.json"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        # One folder for all: seeds share tokens and cache, as trials of a search do.
        command = [*_script(side), *options, "--work", str(WORK / f"scores-{side}")]
        run = run_process(command, {"OMP_NUM_THREADS": options[-1]})
        path.write_text(json.dumps(run.output), encoding="utf-8")
    return float(json.loads(path.read_text(encoding="utf-8"))["accuracy"])


def _script(side: str) -> list[str]:
    if side == "ours":
        return [sys.executable, str(HERE / "train_ours.py"), "--pooling", "mean"]
    form, _, pooling = side.partition("_")
    script = [peer_python(), str(HERE.parent / "peers" / "train_peer.py"), "--form", form]
    return [*script, "--pooling", pooling or "mean"]


def _digest(side: str, options: list[str]) -> str:
    code = [HERE / "train_ours.py", HERE.parent / "peers" / "rows.py"]
    if side == "ours":
        code += sorted((ROOT / "src" / "toprung" / "learn").rglob("*.py"))
    else:
        code += [HERE.parent / "peers" / "train_peer.py"]
    digest = hashlib.sha256(" ".join([side, *_script(side)[2:], *options]).encode())
    for path in code:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:24]
