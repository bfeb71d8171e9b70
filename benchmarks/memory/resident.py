"""Many short real trials in one resident process; prints the memory after each, as JSON.

    python benchmarks/memory/resident.py --data ../shared/data/banking77 --trials 200

Run by ``memory.py``; of use alone to try what bounds the memory of a worker.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from toprung.core.seeds import derive_seed
from toprung.data.dataset import Dataset, Split, hash_rows
from toprung.data.load import load_dataset
from toprung.data.metrics import metric
from toprung.data.source import DataSource
from toprung.learn.backbone.card import find_card
from toprung.learn.trainer import Trainer
from toprung.trial.config import Assignment, Resource, TrialConfig, trial_id
from toprung.trial.space import Scalar

SEED = 7


def values(number: int) -> dict[str, Scalar]:
    """The n-th configuration: every kind of adapter, head, batch size and length in turn."""
    chance = np.random.default_rng(derive_seed(SEED, "memory", number))
    adapter = ("lora", "lora", "lora", "frozen", "full")[int(chance.integers(5))]
    found: dict[str, Scalar] = {
        "backbone": "minilm",
        "backbone.minilm.depth": int(chance.choice([4, 6])),
        "adapter": adapter,
        "pooling": str(chance.choice(["cls", "mean", "mean_max", "attention"])),
        "head": str(chance.choice(["linear", "mlp"])),
        "learning_rate": 5e-5 if adapter == "full" else 1e-3,
        "batch_size": int(chance.choice([8, 16, 32, 64])),
        "max_length": int(chance.choice([32, 48, 64, 128])),
    }
    if adapter == "lora":
        found["adapter.lora.rank"] = int(chance.choice([2, 4, 8, 16, 32, 64]))
        found["adapter.lora.layers"] = str(chance.choice(["all", "top_half", "top_third"]))
    return found


def memory() -> dict[str, float]:
    """This process's memory in MiB: resident, its own share (PSS), and the most ever resident."""
    found = psutil.Process().memory_full_info()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"rss": found.rss / 2**20, "pss": found.pss / 2**20, "peak": peak / 2**20}


def train(options: argparse.Namespace, root: Path) -> list[dict[str, Any]]:
    """Trains one trial after the other; the memory after each."""
    source = DataSource(path=str(options.data.resolve()), train_rows=options.rows, leaks="warn")
    dataset = _short(load_dataset(source, SEED), options.scored)
    trainer = Trainer(
        task="single_label",
        dataset=dataset,
        metric=metric("accuracy"),
        resource=Resource("examples", options.examples, options.examples, (options.examples,)),
        folder=root / "trials",
        cache=root / "cache",
        cpus=1,
        precision=options.precision,
        device="cpu",
        cards={"minilm": find_card("minilm")},
    )
    samples = []
    for number in range(1, options.trials + 1):
        config = TrialConfig(trial_id(number), values(number), derive_seed(SEED, number))
        began = time.perf_counter()
        for _ in trainer(Assignment(config)):
            pass
        seconds = round(time.perf_counter() - began, 3)
        samples.append({"trial": number, "seconds": seconds, **memory()})
        print(json.dumps(samples[-1]), file=sys.stderr, flush=True)
    return samples


def _short(whole: Dataset, scored: int) -> Dataset:
    """Few rows to score, so that a trial is short; of all lengths that there are."""
    splits = {"train": whole.splits["train"]}
    for name in ("stopping", "selection"):
        split = whole.splits[name]
        splits[name] = Split(name, split.texts[:scored], split.labels[:scored])
    return Dataset(whole.label_names, splits, hash_rows(whole.label_names, splits))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of one data set")
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--examples", type=int, default=256, help="that each trial is trained on")
    parser.add_argument("--rows", type=int, default=2000, help="of the training split")
    parser.add_argument("--scored", type=int, default=64, help="rows of each validation half")
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="bfloat16")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="toprung-memory-") as root:
        samples = train(options, Path(root))
    print(json.dumps({"samples": samples}))


if __name__ == "__main__":
    main()
