"""Prediction: five members that share their lower two thirds, beside one member.

    python benchmarks/prediction/ensemble_of_5.py

Trains five members of MiniLM for a few steps each (LoRA in the top third, heads, poolings and
ranks that differ), makes sure that their scores together have the bits of each alone, and times
both in processes of their own, in turns. The ratio is time(5 members) / time(1 member).
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from harness import Contestant, arguments, data_folder, entry, interleave, record, say
from toprung.data.dataset import Dataset
from toprung.data.load import load_dataset
from toprung.data.metrics import metric
from toprung.data.source import DataSource
from toprung.learn.backbone.card import find_card
from toprung.learn.member import load_member, save_member
from toprung.learn.trainer import Trainer
from toprung.ship.predictor import Ensemble
from toprung.trial.config import Assignment, Resource, TrialConfig, trial_id
from toprung.trial.space import Scalar

SEED = 7
ROWS = {"banking77": 1000, "imdb": 200}
PEERS = {"float32": "one_member", "bfloat16": "one_member_bfloat16"}
MEMBERS = 5
EXAMPLES = 64
PASSES = 3
MEMBER_VALUES: list[dict[str, Scalar]] = [
    {"pooling": "mean", "head": "linear", "adapter.lora.rank": 8},
    {"pooling": "cls", "head": "mlp", "adapter.lora.rank": 16},
    {"pooling": "mean_max", "head": "linear", "adapter.lora.rank": 4},
    {"pooling": "attention", "head": "linear", "adapter.lora.rank": 8},
    {"pooling": "mean", "head": "mlp", "adapter.lora.rank": 32},
]


def main() -> None:
    """Measures, or is one of the measured processes."""
    parser = arguments(__doc__)
    parser.add_argument("--datasets", nargs="+", default=list(ROWS))
    parser.add_argument("--precisions", nargs="+", choices=list(PEERS), default=list(PEERS))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(json.loads(options.measure))))
        return
    if options.quick:
        options.datasets, options.precisions = options.datasets[:1], options.precisions[:1]
        options.repeats = min(options.repeats, 2)
    torch.set_num_threads(1)
    for name in options.datasets:
        compare(name, data_folder(options.data, name), options)


def compare(name: str, data: Path, options: argparse.Namespace) -> None:
    """Five members beside one, on a data set."""
    dataset = load_dataset(DataSource(path=str(data.resolve()), leaks="warn"), SEED)
    rows = ROWS.get(name, 1000) // (20 if options.quick else 1)
    texts = list(dataset.splits["train"].texts[:rows])
    for precision in options.precisions:
        with tempfile.TemporaryDirectory(prefix="toprung-members-") as folder:
            root = Path(folder)
            folders = train_members(dataset, root, precision)
            (root / "texts.json").write_text(json.dumps(texts), encoding="utf-8")
            check_bits(folders, texts, precision)
            runs = interleave(
                [contestant(n, folders[:n], root, options.threads) for n in (MEMBERS, 1)],
                options.repeats,
            )
        five, one = ([run.output for run in runs[str(n)]] for n in (MEMBERS, 1))
        record([made(name, precision, five, one, options)], quick=options.quick)


def contestant(count: int, folders: Sequence[Path], root: Path, threads: int) -> Contestant:
    """So many members, in a process of their own."""
    order = {"folders": [str(f) for f in folders], "texts": str(root / "texts.json")}
    said = json.dumps({**order, "threads": threads})
    command = [sys.executable, str(Path(__file__).resolve()), "--measure", said]
    return Contestant(str(count), command, {"OMP_NUM_THREADS": str(threads)})


def made(
    name: str, precision: str, five: list[Any], one: list[Any], options: argparse.Namespace
) -> dict[str, Any]:
    """The entry of a data set and a precision."""
    speed = {n: statistics.median(run["rows_per_second"] for run in runs)
             for n, runs in (("five", five), ("one", one))}  # fmt: skip
    memory = {n: max(run["rss"] for run in runs) / 2**20 for n, runs in (("5", five), ("1", one))}
    note = (
        f"{precision}, {options.threads} thread(s): {speed['five']:.0f} rows/s and "
        f"{memory['5']:.0f} MiB for 5 members, {speed['one']:.0f} rows/s and {memory['1']:.0f} "
        "MiB for 1; ratio = time(5) / time(1). Scores have the bits of each member alone "
        "(float32, 1 thread)."
    )
    return entry(
        "ensemble_of_5",
        name,
        PEERS[precision],
        ours=[run["seconds"] for run in five],
        theirs=[run["seconds"] for run in one],
        unit="s",
        better="higher",  # ours / theirs: how many times the work of one member
        note=note,
        cpu_ratio=statistics.median(
            a["cpu_seconds"] / b["cpu_seconds"] for a, b in zip(five, one, strict=True)
        ),
        rows_per_second=speed,
        rss_mib=memory,
    )


def train_members(dataset: Dataset, root: Path, precision: str) -> list[Path]:
    """Trains the members for a few steps and saves them; their folders."""
    trainer = Trainer(
        task="single_label",
        dataset=Dataset(dataset.label_names, few(dataset), dataset.sha256),
        metric=metric("accuracy"),
        resource=Resource("examples", EXAMPLES, EXAMPLES, (EXAMPLES,)),
        folder=root / "trials",
        cache=root / "cache",
        cpus=1,
        precision="bfloat16" if precision == "bfloat16" else "float32",
        device="cpu",
        cards={"minilm": find_card("minilm")},
    )
    folders = []
    for number, values in enumerate(MEMBER_VALUES, start=1):
        given = {"backbone": "minilm", "adapter": "lora", "adapter.lora.layers": "top_third"}
        config = TrialConfig(trial_id(number), {**given, "max_length": 128, **values}, number)
        *_, last = trainer(Assignment(config))
        assert last.checkpoint is not None
        folders.append(root / "ensemble" / "members" / config.trial)
        save_member(trainer.folder / config.trial, last.checkpoint, folders[-1])
    return folders


def few(dataset: Dataset) -> dict[str, Any]:
    """All that is trained on, and a handful of rows to score."""
    whole = dataset.splits
    cut = type(whole["stopping"])
    kept = {n: cut(n, whole[n].texts[:8], whole[n].labels[:8]) for n in ("stopping", "selection")}
    return {"train": whole["train"], **kept}


def check_bits(folders: Sequence[Path], texts: Sequence[str], precision: str) -> None:
    """Makes sure that members score together as each does alone."""
    ensemble = assemble(folders)
    some = texts[:200]
    for trial, scores in ensemble.member_logits(some).items():
        alone = ensemble.members[trial].logits(some)
        if scores.tobytes() != alone.tobytes():
            raise SystemExit(f"{trial} scores otherwise beside others ({precision})")
    say(f"{len(folders)} members score together as each alone: {precision}, every bit")


def assemble(folders: Sequence[Path]) -> Ensemble:
    """The members of folders, weighed alike."""
    members = {folder.name: load_member(folder, "cpu") for folder in folders}
    weights = {name: 1 / len(members) for name in members}
    labels = next(iter(members.values())).label_names
    return Ensemble(members, weights, labels)


def measure(order: dict[str, Any]) -> dict[str, float]:
    """Seconds to predict the texts, the median of a few passes, and the memory at the end."""
    torch.set_num_threads(order["threads"])
    ensemble = assemble([Path(folder) for folder in order["folders"]])
    texts = json.loads(Path(order["texts"]).read_text(encoding="utf-8"))
    ensemble.predict_proba(texts[: len(texts) // 4])
    seconds, cpu_seconds = [], []
    for _ in range(PASSES):
        began, cpu_began = time.perf_counter(), time.process_time()
        ensemble.predict_proba(texts)
        seconds.append(time.perf_counter() - began)
        cpu_seconds.append(time.process_time() - cpu_began)
    median = statistics.median(seconds)
    return {
        "seconds": median,
        "cpu_seconds": statistics.median(cpu_seconds),
        "rows_per_second": len(texts) / median,
        "rss": float(psutil.Process().memory_info().rss),
    }


if __name__ == "__main__":
    main()
