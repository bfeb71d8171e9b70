"""Several LoRA trials in shared passes, against the same trials one after the other.

    python benchmarks/training/stacked.py                    # about 20 minutes on 2 cores
    python benchmarks/training/stacked.py --trials 8 --precision bfloat16

Both sides are toprung's own: MiniLM, LoRA on all layers, batch 32, trials of different rank,
loss, rate, schedule and pooling, each with dropout. The clock starts after a few steps and stops
for evaluation, checkpoints and opening. Before speeds are compared, the trials' losses are: in
float32 they must be equal to 1e-5, in bfloat16 to 2 %.

On a CPU nothing is to be gained; a graphics card is what this is for. The device stands in the
entry.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import shutil
import statistics
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch
from train_ours import BATCH, make_dataset

from harness import ROOT, Contestant, Entry, arguments, data_folder, entry, interleave, record, say
from peers.rows import pick
from processes import Finished
from toprung.data.metrics import metric
from toprung.learn.backbone.card import find_card
from toprung.learn.device import device_name, resolve_device
from toprung.learn.trainer import Trainer
from toprung.trial.config import Assignment, Resource, TrialConfig
from toprung.trial.report import Report

WAYS = ("stacked", "one_at_a_time")
WARM_UP = 3
STEPS = {"cpu": 12, "cuda": 100, "mps": 24}
TOLERANCE = {"float32": 1e-5, "bfloat16": 2e-2}


def trials(count: int) -> list[Assignment]:
    """Configurations that differ in all that may differ in a stack."""
    found = []
    for number in range(count):
        values: dict[str, Any] = {
            "backbone": "minilm",
            "adapter": "lora",
            "adapter.lora.rank": (4, 8, 16, 32)[number % 4],
            "loss": ("cross_entropy", "focal")[number % 2],
            "pooling": ("mean", "cls", "mean_max")[number % 3],
            "schedule": ("linear", "cosine")[number // 2 % 2],
            "learning_rate": 5e-4 * (1 + number % 5),
            "batch_size": BATCH,
            "max_length": 128,
        }
        found.append(Assignment(TrialConfig(f"t{number + 1:04d}", values, number + 1)))
    return found


def train(options: argparse.Namespace) -> dict[str, Any]:
    """One side's run: rows per second over all trials, and each trial's loss."""
    device = torch.device(resolve_device(options.device))
    trained, _ = pick(Path(options.data), (WARM_UP + options.steps) * BATCH)
    warm, last = WARM_UP * BATCH, (WARM_UP + options.steps) * BATCH
    shutil.rmtree(options.work / "trials", ignore_errors=True)
    trainer = Trainer(
        task="single_label",
        dataset=make_dataset(trained, type(trained)([], [], trained.names)),
        metric=metric("accuracy"),
        resource=Resource("examples", warm, last, (warm, last)),
        folder=options.work / "trials",
        cache=options.work / "cache",
        cpus=options.threads,
        precision=options.precision,
        device=str(device),
        cards={"minilm": find_card("minilm")},
    )
    assignments = trials(options.count)
    if options.way == "stacked":
        said = list(trainer.together(assignments))
    else:
        said = [report for one in assignments for report in trainer(one)]
    ends = [r for r in said if isinstance(r, Report) and r.resource == last]
    assert len(ends) == len(assignments), "a trial has failed"
    rows = last - warm
    seconds = sum(rows / report.metrics["rows_per_second"] for report in ends)
    peak = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else (
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    )  # fmt: skip
    return {
        "device": device_name(device),
        "rows": rows * len(ends),
        "seconds": seconds,
        "rows_per_second": rows * len(ends) / seconds,
        "losses": {report.trial: report.metrics["train_loss"] for report in ends},
        "peak_bytes": peak,
    }


def contestants(options: argparse.Namespace, folder: Path, count: int) -> list[Contestant]:
    """Both ways, each a process of its own."""
    found = []
    for way in WAYS:
        command = [sys.executable, __file__, "--way", way, "--count", count, "--data", folder]
        command += ["--steps", options.steps, "--precision", options.precision]
        command += ["--device", options.device, "--threads", options.threads]
        command += ["--work", ROOT / "results" / "bench-stacked" / way]
        found.append(
            Contestant(way, [*map(str, command)], env={"OMP_NUM_THREADS": str(options.threads)})
        )
    return found


def farthest(runs: dict[str, list[Finished]]) -> float:
    """The largest relative difference of a trial's loss between the two ways."""
    ours, theirs = (runs[way][0].output["losses"] for way in WAYS)
    return max(abs(ours[trial] - loss) / abs(loss) for trial, loss in theirs.items())


def measure(options: argparse.Namespace, dataset: str, count: int) -> Entry:
    """The two ways in turns, for so many trials."""
    folder = data_folder(options.data.resolve(), dataset)
    runs = interleave(contestants(options, folder, count), options.repeats)
    apart = farthest(runs)
    if not math.isfinite(apart) or apart > TOLERANCE[options.precision]:
        raise SystemExit(f"the losses of {count} stacked trials differ by {apart:.2g}")
    rates = {way: [float(run.output["rows_per_second"]) for run in runs[way]] for way in WAYS}
    peaks = [statistics.median(r.output["peak_bytes"] for r in runs[way]) / 2**20 for way in WAYS]
    device = runs[WAYS[0]][0].output["device"]
    return entry(
        "stacked_lora",
        f"{dataset}, {count} trials, {options.precision}, {device}",
        WAYS[1],
        ours=rates[WAYS[0]],
        theirs=rates[WAYS[1]],
        unit="rows/s",
        better="higher",
        note=f"losses differ by {apart:.1g} of their size at most; "
        f"peak {peaks[0]:,.0f} MiB against {peaks[1]:,.0f} MiB",
        device=device,
        trials=count,
    )


def options_of() -> argparse.Namespace:
    """The options of the comparison, and those of one side's run."""
    parser = arguments(__doc__)
    parser.add_argument("--datasets", nargs="+", default=["banking77"])
    parser.add_argument("--trials", nargs="+", type=int, default=[4, 8, 16])
    parser.add_argument("--precision", choices=tuple(TOLERANCE), default="float32")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=0, help="of each trial; 0: by the device")
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--count", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    kind = torch.device(resolve_device(options.device)).type
    options.steps = options.steps or STEPS.get(kind, STEPS["cpu"])
    if options.quick:
        options.trials, options.repeats, options.steps = [4], 1, 3
    return options


def main() -> None:
    options = options_of()
    if options.way:
        options.work = options.work.resolve()
        print(json.dumps(train(options)))
        return
    for dataset in options.datasets:
        for count in options.trials:
            say(f"{count} trials on {dataset}, {resolve_device(options.device)}")
            record([measure(options, dataset, count)], options.quick)


if __name__ == "__main__":
    main()
