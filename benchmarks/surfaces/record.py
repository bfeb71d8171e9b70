"""Records surfaces: real MiniLM trainings with learning curves, costs and predictions.

    python benchmarks/surfaces/record.py banking77 sst2

trains the configurations of space.py through the production trainer and writes, beside this
file, for each data set: ``<name>.jsonl`` (a line per finished configuration), ``<name>.npz``
(predictions on the validation rows at the last point) and ``<name>.json`` (what it was recorded
on). It may be killed at any moment and goes on where it was. Several data sets take turns.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from predictions import pack, read_arrays, write_arrays
from space import (
    DATASETS,
    HERE,
    POINTS,
    REPLICAS,
    REPLICATED,
    SEED,
    as_trained,
    configurations,
    read_space,
)

from toprung.api.environment import environment
from toprung.core.errors import TrialDiverged
from toprung.core.files import write_json
from toprung.core.seeds import derive_seed
from toprung.data.dataset import Dataset
from toprung.data.load import load_dataset
from toprung.learn.trainer import Trainer
from toprung.spec.spec import SearchSpec
from toprung.trial.config import Assignment, Resource, TrialConfig, trial_id
from toprung.trial.space import Scalar

ROOT = HERE.parents[1]
METRICS = ("accuracy", "macro_f1", "log_loss", "train_loss")


@dataclass(frozen=True)
class Job:
    """One training: which configuration, and which of its seeds."""

    number: int
    replica: int

    @property
    def key(self) -> str:
        """Name of the predictions in the .npz file."""
        return f"{trial_id(self.number)}.{self.replica}"


@dataclass(frozen=True)
class Surface:
    """A data set that is recorded.

    Attributes:
        work: folder of caches and of the training at hand.
        out: folder of the recorded files.
    """

    name: str
    spec: SearchSpec
    data: Dataset
    work: Path
    out: Path

    def trainer(self, folder: Path, points: Sequence[int]) -> Trainer:
        """The production trainer with checkpoints in a folder of this training alone."""
        return Trainer(
            task=self.spec.task,
            dataset=self.data,
            metric=self.spec.metric,
            resource=Resource("examples", points[0], points[-1], tuple(points)),
            folder=folder,
            cache=self.work / "cache",
            cpus=1,
            precision=self.spec.precision,
            device="cpu",
            cards=self.spec.cards,
        )

    def done(self) -> set[Job]:
        """What stands in the .jsonl file; a torn last line does not count."""
        path = self.out / f"{self.name}.jsonl"
        lines = path.read_text().splitlines(keepends=True) if path.exists() else []
        whole = [json.loads(line) for line in lines if line.endswith("\n")]
        return {Job(line["number"], line["replica"]) for line in whole}


def jobs() -> list[Job]:
    """Every configuration once, then the first few with other seeds, for the noise of seeds."""
    first = [Job(number, 0) for number in range(1, len(configurations()) + 1)]
    again = [Job(n, r) for r in range(1, REPLICAS + 1) for n in range(1, REPLICATED + 1)]
    return first + again


def open_surface(name: str, options: argparse.Namespace) -> Surface:
    """Loads the rows: 1,440 stratified ones to train on, all of validation in two halves."""
    spec = read_space(options.data / name)
    data = load_dataset(spec.data, SEED).without("test", "extra")
    surface = Surface(name, spec, data, options.work / name, options.out)
    surface.work.mkdir(parents=True, exist_ok=True)
    options.out.mkdir(parents=True, exist_ok=True)
    return surface


def record(surface: Surface, job: Job) -> dict[str, Any]:
    """Trains one configuration and writes it down."""
    values = configurations()[job.number - 1]
    points, packed = train(surface, job, as_trained(values))
    line = {"number": job.number, "replica": job.replica, "values": values, "points": points}
    with locked(surface.work / "lock"):
        if packed is not None:
            path = surface.out / f"{surface.name}.npz"
            write_arrays(path, {**read_arrays(path), **packed})
        with mended(surface.out / f"{surface.name}.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")
    return line


def train(
    surface: Surface, job: Job, values: dict[str, Scalar]
) -> tuple[list[dict[str, float]], dict[str, Any] | None]:
    """The reports of a training with CPU-seconds at each, and its packed predictions."""
    trial = trial_id(job.number)
    seed = derive_seed(SEED, trial, *([job.replica] if job.replica else []))
    folder = Path(tempfile.mkdtemp(prefix="trial.", dir=surface.work))
    points: list[dict[str, float]] = []
    try:
        began = cpu_seconds()
        trainer = surface.trainer(folder, POINTS)
        for report in trainer(Assignment(TrialConfig(trial, values, seed))):
            found = {name: round(float(report.metrics[name]), 5) for name in METRICS}
            spent = round(cpu_seconds() - began, 3)
            points.append({"resource": report.resource, **found, "cpu_seconds": spent})
        return points, _predictions(surface, job, folder / trial / "predictions")
    except TrialDiverged:
        return points, None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _predictions(surface: Surface, job: Job, folder: Path) -> dict[str, Any]:
    found, labels = [], []
    for name in ("stopping", "selection"):
        split = surface.data.splits[name]
        logits = np.load(folder / f"{POINTS[-1]}.{name}.npy", allow_pickle=False)
        found.append(pack(logits, split.labels))
        labels.append(split.labels)
    return {job.key: np.vstack(found), "labels": np.concatenate(labels).astype(np.uint8)}


def warm_up(surface: Surface) -> None:
    """Loads the backbone and builds what all trainings share, so that none of them pays for it.

    What is shared (tokens, states below the adapters) is built by whoever needs it first; here
    that is a short training of each kind, whose cost is written down on its own.
    """
    fresh = not (surface.work / "warm").exists()
    began = cpu_seconds()
    for depth, adapter in ((6, "frozen"), (6, "top_third"), (6, "top_half"), (4, "top_half")):
        values: dict[str, Scalar] = {
            "backbone": "minilm",
            "backbone.minilm.depth": depth,
            "adapter": "frozen" if adapter == "frozen" else "lora",
            "learning_rate": 1e-3,
            "batch_size": 32,
            "max_length": 64,
        }
        if adapter != "frozen":
            values |= {"adapter.lora.rank": 4, "adapter.lora.layers": adapter}
        folder = Path(tempfile.mkdtemp(prefix="trial.", dir=surface.work))
        points = (len(surface.data.splits["train"]),) if fresh else (32,)
        for _ in surface.trainer(folder, points)(Assignment(TrialConfig("t0001", values, 1))):
            pass
        shutil.rmtree(folder, ignore_errors=True)
    if fresh:
        describe(surface, round(cpu_seconds() - began, 1))
        (surface.work / "warm").touch()


def describe(surface: Surface, warm_up_seconds: float) -> None:
    """Writes what the surface was recorded on."""
    splits = surface.data.splits
    facts = {
        "dataset": surface.name,
        "data_sha256": surface.data.sha256,
        "classes": surface.data.classes,
        "rows": {name: len(split) for name, split in splits.items()},
        "points": list(POINTS),
        "precision": surface.spec.precision,
        "threads": 1,
        "warm_up_cpu_seconds": warm_up_seconds,
        "environment": environment(),
    }
    write_json(surface.out / f"{surface.name}.json", facts)


def cpu_seconds() -> float:
    """CPU-seconds of this process, user and system."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def mended(path: Path) -> Path:
    """The path of a .jsonl file, from which a torn last line was cut."""
    data = path.read_bytes() if path.exists() else b""
    whole = data.rfind(b"\n") + 1
    if whole != len(data):
        os.truncate(path, whole)
    return path


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds a lock file, so that two processes do not write at once."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def work_off(options: argparse.Namespace) -> None:
    """Records what is missing, one configuration on each data set in turn."""
    torch.set_num_threads(1)
    surfaces = [open_surface(name, options) for name in options.datasets]
    for surface in surfaces:
        warm_up(surface)
    index, of = options.share
    mine = [job for job in jobs() if job.number % of == index]
    left = options.limit if options.limit is not None else len(mine) * len(surfaces)
    for job in mine:
        for surface in surfaces:
            if left > 0 and job not in surface.done():
                left -= 1
                began = time.monotonic()
                last = (record(surface, job)["points"] or [{}])[-1]
                said = f"{surface.name} {job.key} {last.get('accuracy')} {last.get('cpu_seconds')}"
                print(f"{said} CPU-s, {time.monotonic() - began:.1f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("datasets", nargs="+", choices=DATASETS)
    parser.add_argument("--limit", type=int, help="most trainings of this call, per process")
    parser.add_argument("--workers", type=int, default=1, help="processes, one thread each")
    parser.add_argument("--data", type=Path, default=ROOT / "../shared/data")
    parser.add_argument("--work", type=Path, default=ROOT / "results" / "surfaces")
    parser.add_argument("--out", type=Path, default=HERE)
    parser.add_argument("--share", type=int, nargs=2, default=(0, 1), help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.data, options.work = options.data.resolve(), options.work.resolve()
    missing = [name for name in options.datasets if not (options.data / name).is_dir()]
    if missing:
        print(f"skipped: no {', '.join(missing)} under {options.data}")
        return
    if options.workers == 1:
        work_off(options)
        return
    again = [sys.executable, __file__, *sys.argv[1:], "--workers", "1", "--share"]
    shares = [[*again, str(i), str(options.workers)] for i in range(options.workers)]
    processes = [subprocess.Popen(command) for command in shares]
    sys.exit(max(process.wait() for process in processes))


if __name__ == "__main__":
    main()
