"""LoRA training, ours and three peers in turns: rows per second in steady state.

    python benchmarks/training/lora.py                       # about 40 minutes on 2 cores
    python benchmarks/training/lora.py --datasets banking77 --repeats 3

Every contestant is a process of its own with two threads; its clock starts after a few steps.
What is compared is rows per second, so slow peers take fewer steps. Peers that group by length
go through their batches from long to short, so they are measured over whole groups.

Ours runs in float32 and in bfloat16, and the quicker one is compared; the other stands in the
note. The cache is built anew in every repeat, and how long that takes is kept apart.

**With the build**: an ASHA search of 32 trials, reduction factor 3, rungs at 1, 3 and 9 units
trains 32·1 + 10·2 + 3·6 = 70 units (32 trials to the first rung, 10 of them to the second, 3 to
the third). A unit is a third of the training rows, so that the last rung is three passes. The
search needs the cache of all N rows once:

    rate with build = (70 · N / 3) / (build seconds + (70 · N / 3) / steady rate)
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from limit import LAYERS, achieved

from harness import (
    ROOT,
    Contestant,
    Entry,
    arguments,
    data_folder,
    disturbance,
    entry,
    interleave,
    peer_python,
    record,
    say,
)
from processes import Finished

HERE = Path(__file__).parent
PEERS = ("documented", "dynamic", "strong", "strong_top_third")
PRECISIONS = ("float32", "bfloat16")
UNITS_OF_A_SEARCH = 32 * 1 + 10 * 2 + 3 * 6
UNITS_OF_A_PASS = 3
Runs = dict[str, list[Finished]]


@dataclass(frozen=True)
class Sizes:
    """How much each contestant does.

    Attributes:
        rows: of train; 0 is all.
        steps: measured, by contestant (ours: ``all`` and ``cached``, with the precision).
        warm_up: steps before the clock starts.
    """

    rows: int
    steps: dict[str, int]
    warm_up: int = 3


FULL = {
    "banking77": Sizes(0, {
        "documented": 15, "dynamic": 30, "strong": 50, "strong_top_third": 50,
        "all_float32": 50, "all_bfloat16": 50, "cached_float32": 100, "cached_bfloat16": 150,
    }),
    "imdb": Sizes(1536, {
        "documented": 15, "dynamic": 15, "strong": 24, "strong_top_third": 24,
        "all_float32": 20, "all_bfloat16": 24, "cached_float32": 48, "cached_bfloat16": 96,
    }),
}  # fmt: skip
QUICK = {
    "banking77": Sizes(640, {
        "documented": 2, "strong": 5, "all_bfloat16": 10, "cached_bfloat16": 20,
    }, warm_up=1),
}  # fmt: skip


def contestants(folder: Path, sizes: Sizes, threads: int, quick: bool) -> list[Contestant]:
    """The peers, ours, and the measurement of the processor's peak beside them."""
    work = ROOT / "results" / "bench-training"
    found = []
    for name, steps in sizes.steps.items():
        kind, _, precision = name.partition("_")
        done = ["--data", folder, "--rows", sizes.rows, "--steps", steps]
        done += ["--warm-up", sizes.warm_up, "--work", work / folder.name / name]
        done += ["--threads", threads]
        if name in PEERS:
            script = [peer_python(), ROOT / "benchmarks/peers/train_peer.py", "--form", kind]
            layers = "top_third" if name.endswith("top_third") else "all"
        else:
            script = [sys.executable, HERE / "train_ours.py", "--precision", precision]
            script += ["--cache", "cold"]
            layers = "top_third" if kind == "cached" else "all"
        command = [*map(str, [*script, *done, "--layers", layers])]
        found.append(Contestant(name, command, env={"OMP_NUM_THREADS": str(threads)}))
    peak = [sys.executable, str(HERE / "limit.py"), "--threads", str(threads)]
    peak += ["--quick"] if quick else []
    return [*found, Contestant("peak", peak, env={"OMP_NUM_THREADS": str(threads)})]


def values(runs: Sequence[Finished], key: str = "rows_per_second") -> list[float]:
    """One number of each repeat."""
    return [float(run.output[key]) for run in runs]


def cpu_seconds(runs: Sequence[Finished]) -> float:
    """CPU-seconds of a measured row, the median of the repeats."""
    return statistics.median(run.output["cpu_seconds"] / run.output["rows"] for run in runs)


def quicker(runs: Runs, kind: str) -> str:
    """The precision in which ours is quicker."""
    names = [name for name in runs if name.startswith(f"{kind}_")]
    return max(names, key=lambda name: statistics.median(values(runs[name])))


def described(runs: Runs, kind: str) -> str:
    """What a reader must know of ours."""
    best = quicker(runs, kind)
    others = [name for name in runs if name.startswith(f"{kind}_") and name != best]
    words = [f"ours runs in {best.partition('_')[2]}"]
    for name in others:
        rate = statistics.median(values(runs[name]))
        words.append(f"in {name.partition('_')[2]} {rate:.0f} rows/s")
    each = statistics.median(run.output["tokens"] / run.output["rows"] for run in runs[best])
    return "; ".join([*words, f"{each:.0f} real tokens a row"]) + disturbance(runs)


def speed_entries(dataset: str, runs: Runs) -> list[Entry]:
    """Steady states: all layers, and the top third from the cache."""
    found = []
    for name, kind in (("lora_all_layers", "all"), ("lora_prefix_cached", "cached")):
        if not any(side.startswith(f"{kind}_") for side in runs):
            continue
        ours = runs[quicker(runs, kind)]
        for peer in PEERS:
            if peer not in runs or (kind == "all" and peer == "strong_top_third"):
                continue
            found.append(
                entry(
                    name,
                    dataset,
                    peer,
                    ours=values(ours),
                    theirs=values(runs[peer]),
                    unit="rows/s",
                    better="higher",
                    cpu_ratio=cpu_seconds(runs[peer]) / cpu_seconds(ours),
                    note=described(runs, kind),
                )
            )
    return found


def rate_with_build(run: Finished) -> float:
    """Rows per second of a whole search, the cache's build counted (see above)."""
    built = run.output["built_rows"]
    rows = UNITS_OF_A_SEARCH * built / UNITS_OF_A_PASS
    return float(rows / (run.output["build_seconds"] + rows / run.output["rows_per_second"]))


def build_entries(dataset: str, runs: Runs) -> list[Entry]:
    """The top third from the cache, with the build spread over a search."""
    if not any(side.startswith("cached_") for side in runs):
        return []
    ours = runs[quicker(runs, "cached")]
    seconds = statistics.median(values(ours, "build_seconds"))
    size, rows = ours[0].output["bytes"] / 1e6, ours[0].output["built_rows"]
    note = f"built {rows:,} rows ({size:,.0f} MB) in {seconds:.3g} s{disturbance(runs)}"
    return [
        entry(
            "lora_prefix_cached_with_build",
            dataset,
            peer,
            ours=[rate_with_build(run) for run in ours],
            theirs=values(runs[peer]),
            unit="rows/s",
            better="higher",
            note=note,
        )
        for peer in PEERS
        if peer in runs
    ]


def limit_entries(dataset: str, runs: Runs) -> list[Entry]:
    """Shares of the measured peak; the best repeat's peak is everyone's."""
    found = []
    for name, done in runs.items():
        if name == "peak":
            continue
        strong = name.startswith("strong")
        precision = "bfloat16" if strong or name.endswith("bfloat16") else "float32"
        layers = _layers_that_count(name)
        peak = max(values(runs["peak"], precision))
        rates = [
            achieved(run.output["tokens"], run.output["seconds"], layers) / peak for run in done
        ]
        whole = "" if layers == LAYERS else f", N of {layers} layers"
        bar = {"bar": "≥ 0.65", "met": statistics.median(rates) >= 0.65}
        found.append(
            entry(
                "physical_limit",
                dataset,
                f"{name} ({precision})",
                ours=[rate * peak for rate in rates],
                theirs=[peak] * len(rates),
                unit="GFLOP/s",
                better="higher",
                note=f"4·N FLOP a real token{whole}",
                **(bar if (dataset, name) == ("imdb", "all_float32") else {}),
            )
        )
    return found


def _layers_that_count(name: str) -> int:
    """Layers whose 4·N FLOP a contestant does; frozen ones that run forward only count half."""
    top = LAYERS // 3
    if name.startswith("cached"):
        return top
    return top + (LAYERS - top) // 2 if name.endswith("top_third") else LAYERS


def measure(dataset: str, options: argparse.Namespace) -> list[Entry]:
    """All contestants on one data set, in turns."""
    sizes = (QUICK if options.quick else FULL)[dataset]
    folder = data_folder(options.data.resolve(), dataset)
    sides = contestants(folder, sizes, options.threads, options.quick)
    sides = [side for side in sides if not options.only or side.name in (*options.only, "peak")]
    keep = None if options.quick else ROOT / "results" / f"bench-lora-{dataset}.json"
    runs = interleave(sides, options.repeats, keep)
    for name, done in runs.items():
        if name != "peak":
            each = statistics.median(run.output["tokens"] / run.output["rows"] for run in done)
            rate = statistics.median(values(done))
            say(f"  {name}: {rate:.1f} rows/s of {each:.1f} tokens")
    return [*speed_entries(dataset, runs), *build_entries(dataset, runs),
            *limit_entries(dataset, runs)]  # fmt: skip


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--datasets", nargs="+", choices=tuple(FULL), default=list(FULL))
    parser.add_argument("--threads", type=int, default=2, help="of every contestant")
    sides = [*FULL["banking77"].steps]
    parser.add_argument("--only", nargs="+", choices=sides, default=[], help="of the contestants")
    options = parser.parse_args()
    if options.quick:
        options.repeats, options.datasets = 1, ["banking77"]
    for dataset in options.datasets:
        record(measure(dataset, options), options.quick)


if __name__ == "__main__":
    main()
