"""The peers' work through toprung's own Run: MiniLM, LoRA r=8, batch 32, at most 128 tokens.

    python benchmarks/training/train_ours.py --data ../shared/data/banking77 --steps 50

With ``--layers top_third`` the lower four layers are frozen, and ``--cache`` decides where their
output comes from: ``warm`` fills the cache before the clock starts, ``cold`` removes what was
there first and fills it within ``build_seconds``, ``off`` computes it in every step.

Prints one JSON line, with the same keys as ``peers/train_peer.py``.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from peers.rows import Rows, pick
from toprung.data.dataset import Dataset, Split, hash_rows
from toprung.data.metrics import metric
from toprung.learn.backbone.card import find_card
from toprung.learn.plan import Plan
from toprung.learn.run import Run
from toprung.trial.config import Assignment, Resource, TrialConfig

BATCH = 32


def make_dataset(trained: Rows, held_out: Rows) -> Dataset:
    """The rows as a search would hold them; held-out rows, where there are any, as ``stopping``."""
    splits = {"train": _split("train", trained)}
    if held_out.texts:
        splits["stopping"] = _split("stopping", held_out)
    return Dataset(tuple(trained.names), splits, hash_rows(trained.names, splits))


def _split(name: str, rows: Rows) -> Split:
    return Split(name, tuple(rows.texts), np.array(rows.labels, dtype=np.int64))


def examples_after(rows: int, steps: int) -> int:
    """How many examples so many steps take; the last step of an epoch may be a smaller one."""
    a_pass = -(-rows // BATCH)
    epochs, rest = divmod(steps, a_pass)
    return epochs * rows + min(rest * BATCH, rows)


def open_run(options: argparse.Namespace, dataset: Dataset, steps: int) -> Run:
    """The run of a search's trial with these values."""
    last = examples_after(len(dataset.splits["train"]), steps)
    plan = Plan(
        task="single_label",
        dataset=dataset,
        metric=metric("accuracy"),
        resource=Resource("examples", last, last, (last,)),
        folder=options.work / "trials",
        cache=options.work / "cache",
        cpus=options.threads,
        precision=options.precision,
        device="cpu",
        cards={"minilm": find_card("minilm")},
        prefix_bytes=0 if options.cache == "off" else None,
    )
    values: dict[str, Any] = {
        "backbone": "minilm",
        "adapter": "lora",
        "adapter.lora.rank": 8,
        "adapter.lora.alpha": 16,
        "adapter.lora.layers": options.layers,
        "pooling": options.pooling,
        "batch_size": BATCH,
        "learning_rate": options.lr,
        "max_length": 128,
    }
    return Run(plan, Assignment(TrialConfig("t0001", values, options.seed)))


def build_cache(run: Run) -> dict[str, Any]:
    """Fills the cache of the training rows, where the run has one."""
    prefix = run.loop.feed.inputs.prefix
    if prefix is None:
        return {"cached": False}
    began, missing = time.perf_counter(), 1.0 - prefix.share
    run.model.eval()
    with torch.inference_mode():
        prefix.fill(run.model.lower, run.device)
    return {
        "cached": True,
        "build_seconds": time.perf_counter() - began,
        "built_rows": round(missing * len(prefix.tokens)),
        "bytes": int(prefix.tokens.offsets[-1]) * prefix.hidden * prefix.dtype.itemsize,
    }


def _seconds() -> tuple[float, float]:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return time.perf_counter(), usage.ru_utime + usage.ru_stime


def train(options: argparse.Namespace) -> dict[str, Any]:
    """Trains, and scores held-out rows where asked."""
    torch.set_num_threads(options.threads)
    began = time.perf_counter()
    shutil.rmtree(options.work / "trials", ignore_errors=True)
    if options.cache == "cold":
        shutil.rmtree(options.work / "cache" / "prefix", ignore_errors=True)
    trained, held_out = pick(Path(options.data), options.rows, options.evaluate)
    rows = len(trained.texts)
    steps = options.warm_up + options.steps
    if not options.steps:
        steps = round(options.epochs * -(-rows // BATCH))
    run = open_run(options, make_dataset(trained, held_out), steps)
    built = build_cache(run)
    with run.streams.turn():
        losses: list[float] = []
        if options.losses:
            losses += losses_of(run, rows, 0, options.warm_up)
        else:
            run.train_to(examples_after(rows, options.warm_up))
        start, cpu_start = _seconds()
        if options.losses:
            losses += losses_of(run, rows, options.warm_up, steps)
        else:
            run.train_to(examples_after(rows, steps))
        end, cpu_end = _seconds()
        seen = examples_after(rows, steps) - examples_after(rows, options.warm_up)
        report: dict[str, Any] = {
            **built,
            "steps": run.loop.progress.steps - options.warm_up,
            "rows": seen,
            "tokens": _tokens(run, options.warm_up, steps),
            "seconds": end - start,
            "cpu_seconds": cpu_end - cpu_start,
            "rows_per_second": seen / (end - start),
        }
        if options.losses:
            report["losses"] = losses
        if held_out.texts:
            said = run.report(examples_after(rows, steps))
            report["accuracy"], report["held_out"] = said.metrics["accuracy"], len(held_out.texts)
    return {**report, "wall": time.perf_counter() - began}


def losses_of(run: Run, rows: int, first: int, last: int) -> list[float]:
    """Trains from one step to another, one at a time, for the loss of each."""
    losses = []
    for step in range(first + 1, last + 1):
        run.train_to(examples_after(rows, step))
        losses.append(run.loop.take_mean_loss())
    return losses


def _tokens(run: Run, first: int, last: int) -> int:
    """Real tokens of the steps from one to another."""
    batches, lengths = run.loop.feed.batches, run.loop.feed.inputs.tokens.lengths
    steps = iter(batches.after(type(run.loop.progress.position)()))
    taken = [next(steps)[0] for _ in range(last)]
    return sum(int(lengths[batch].sum()) for batch in taken[first:])


def parser() -> argparse.ArgumentParser:
    """The options of one run."""
    found = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    found.add_argument("--data", required=True, help="folder of one data set")
    found.add_argument("--precision", choices=("float32", "bfloat16"), default="bfloat16")
    found.add_argument("--layers", choices=("all", "top_third"), default="all")
    found.add_argument("--cache", choices=("warm", "cold", "off"), default="warm")
    found.add_argument("--pooling", default="mean")
    found.add_argument("--rows", type=int, default=0, help="of train; 0 is all")
    found.add_argument("--steps", type=int, default=0, help="after the warm-up; 0: whole epochs")
    found.add_argument("--epochs", type=float, default=1.0)
    found.add_argument("--warm-up", type=int, default=3, help="steps before the clock starts")
    found.add_argument("--seed", type=int, default=1)
    found.add_argument("--lr", type=float, default=1e-3)
    found.add_argument("--evaluate", type=int, default=0, help="score so many held-out rows")
    found.add_argument("--losses", action="store_true", help="print the loss of each step")
    found.add_argument("--threads", type=int, default=2)
    found.add_argument("--work", type=Path, default=Path("results/bench-training"))
    return found


if __name__ == "__main__":
    chosen = parser().parse_args()
    chosen.work = chosen.work.resolve()
    print(json.dumps(train(chosen)))
