"""The prefix cache against computing: the loss of every step, at one thread.

    python benchmarks/training/exactness.py

The same steps run with the cache warm, with the cache off, and with the cache off and other
dropout (the same new weights and order of rows). The largest difference of a step's loss between
the first two is compared with that between the last two, the seed noise: in float32 it must be
0, in bfloat16 under a tenth. Between the precisions themselves there is a difference too, which
is not the cache's; it is given beside.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from train_ours import build_cache, losses_of, make_dataset, open_run, parser

from harness import ROOT, Entry, arguments, command, data_folder, record
from peers.rows import pick

Losses = list[float]


def train(data: Path, precision: str, cache: str, *, seed: int, dropout: int, steps: int) -> Losses:
    """The loss of each step."""
    work = ROOT / "results" / "bench-training" / "exactness"
    said = ["--data", str(data), "--precision", precision, "--cache", cache]
    said += ["--layers", "top_third", "--threads", "1", "--seed", str(seed)]
    options = parser().parse_args([*said, "--work", str(work)])
    trained, held_out = pick(data, rows=steps * 16)
    run = open_run(options, make_dataset(trained, held_out), steps)
    if cache == "warm":
        build_cache(run)
    with run.streams.turn():
        torch.manual_seed(dropout)
        return losses_of(run, len(trained.texts), 0, steps)


def largest(one: Losses, other: Losses) -> float:
    """The largest difference of a step."""
    return max(abs(a - b) for a, b in zip(one, other, strict=True))


def compare(data: Path, precision: str, options: argparse.Namespace) -> Entry:
    """The cache's differences as shares of the seed noise, one of each seed."""
    steps = 4 if options.quick else 16
    shares, differences, noises, apart = [], [], [], []
    for seed in range(1, options.repeats + 1):
        warm, off, other = (
            train(data, precision, cache, seed=seed, dropout=dropout, steps=steps)
            for cache, dropout in (("warm", 1), ("off", 1), ("off", 2))
        )
        plain = train(data, "float32", "off", seed=seed, dropout=1, steps=steps)
        differences.append(largest(warm, off))
        noises.append(largest(off, other))
        apart.append(largest(off, plain))
        shares.append(differences[-1] / noises[-1])
    exact = precision == "float32"
    met = max(differences) == 0 if exact else max(shares) < 0.1
    note = f"{steps} steps; largest difference of a step's loss over all seeds "
    note += f"{max(differences):.2g}, least seed noise {min(noises):.2g}"
    if not exact:
        note += f", largest difference between the two precisions {max(apart):.2g}"
    return {
        "name": "lora_exactness",
        "dataset": data.name,
        "peer": f"computed, {precision}",
        "ratio": statistics.median(shares),
        "low": min(shares),
        "high": max(shares),
        "repeats": options.repeats,
        "command": command(),
        "bar": "0, bit-identical" if exact else "< 0.1",
        "met": met,
        "note": note,
    }


def main() -> None:
    options_of = arguments(__doc__)
    options_of.add_argument("--datasets", nargs="+", default=["banking77", "imdb"])
    options = options_of.parse_args()
    torch.set_num_threads(1)
    if options.quick:
        options.repeats, options.datasets = 1, ["banking77"]
    for dataset in options.datasets:
        folder = data_folder(options.data.resolve(), dataset)
        precisions = ("float32", "bfloat16")
        record([compare(folder, precision, options) for precision in precisions], options.quick)


if __name__ == "__main__":
    main()
