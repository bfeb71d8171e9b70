"""Memory: of a worker over 200 trials, and of a node with 1, 2 and 4 workers.

    python benchmarks/memory/memory.py

Says whether the memory of a resident worker still grows in the last half of its trials: the
slope of its resident memory there, with its 95 % interval. A table of peaks comes with it.
"""

from __future__ import annotations

import math
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from harness import Entry, arguments, command, data_folder, record
from processes import run_process

HERE = Path(__file__).resolve().parent
DATASET = "banking77"
WORKERS = (1, 2, 4)
ALLOWED_MIB_A_TRIAL = 0.5
BLOCK = 10


def main() -> None:
    parser = arguments(__doc__, repeats=1)
    parser.add_argument("--trials", type=int, default=200, help="in the one resident worker")
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="bfloat16")
    parser.add_argument("--parts", nargs="+", choices=["flat", "node"], default=["flat", "node"])
    options = parser.parse_args()
    data = data_folder(options.data, DATASET)
    if options.quick:
        options.trials, options.parts = 8, ["flat"]
    if "flat" in options.parts:
        examples = "32" if options.quick else "256"
        line = ["--data", str(data), "--trials", str(options.trials), "--examples", examples]
        line += ["--precision", options.precision]
        found = _run("resident.py", line)["samples"]
        record([flat(found, options.precision)], quick=options.quick)
    if "node" in options.parts:
        found = {
            workers: [
                _run("node.py", ["--data", str(data), "--workers", str(workers)])
                for _ in range(options.repeats)
            ]
            for workers in WORKERS
        }
        record(nodes(found), quick=options.quick)


def _run(script: str, line: Sequence[str]) -> dict[str, Any]:
    argv = [sys.executable, str(HERE / script), *line]
    return run_process(argv, {"OMP_NUM_THREADS": "1"}, 3600).output


def flat(samples: Sequence[dict[str, Any]], precision: str) -> Entry:
    """The entry of a resident worker: its last quarter beside the quarter before."""
    rss = np.array([sample["rss"] for sample in samples])
    half, quarter = len(rss) // 2, max(1, len(rss) // 4)
    slope, low, high = growth(rss[half:])
    grows = slope > ALLOWED_MIB_A_TRIAL
    print(table(samples))
    verdict = "grows" if grows else "does not grow"
    print(
        f"the last half {verdict}: {slope:+.2f} MiB a trial (95 %: {low:+.2f} to {high:+.2f}); "
        f"peak {max(sample['peak'] for sample in samples):.0f} MiB"
    )
    before, last = rss[-2 * quarter : -quarter], rss[-quarter:]
    return {
        "name": "memory_of_a_worker",
        "dataset": DATASET,
        "peer": "itself_before",
        "ratio": float(last.mean() / before.mean()),
        "low": float(last.min() / before.mean()),
        "high": float(last.max() / before.mean()),
        "repeats": 1,
        "command": command(),
        "ours": float(last.mean()),
        "theirs": float(before.mean()),
        "unit": "MiB",
        "bar": f"at most {ALLOWED_MIB_A_TRIAL:g} MiB a trial in the last half",
        "met": not grows,
        "mib_a_trial": {"slope": slope, "low": low, "high": high},
        "peak_mib": max(sample["peak"] for sample in samples),
        "samples": [round(value) for value in rss[:: max(1, len(rss) // 20)].tolist()],
        "note": f"{len(samples)} trials in one process, {precision}: resident memory in the last "
        f"quarter of them / in the quarter before; {slope:+.2f} MiB a trial in the last half",
    }


def growth(rss: np.ndarray) -> tuple[float, float, float]:
    """Slope in MiB a trial, with its 95 % interval.

    Neighbouring trials are alike in memory that is held, so that means of blocks are regressed.
    """
    size = BLOCK if len(rss) >= 4 * BLOCK else 1
    count = len(rss) // size
    y = rss[len(rss) - count * size :].reshape(count, size).mean(axis=1)
    x = (np.arange(count) - (count - 1) / 2) * size
    slope = float((x * y).sum() / (x * x).sum())
    rest = y - y.mean() - slope * x
    error = math.sqrt(float((rest**2).sum()) / max(1, count - 2) / float((x * x).sum()))
    reach = 2.31 * error  # t of 8 degrees of freedom, those of ten blocks
    return slope, slope - reach, slope + reach


def table(samples: Sequence[dict[str, Any]]) -> str:
    """Resident and peak memory after some of the trials."""
    step = max(1, len(samples) // 10)
    shown = [samples[0], *samples[step - 1 :: step]]
    lines = ["trial   RSS   peak   MiB"]
    lines += [f"{s['trial']:5d} {s['rss']:5.0f} {s['peak']:6.0f}" for s in shown]
    return "\n".join(lines)


def nodes(found: dict[int, list[dict[str, float]]]) -> list[Entry]:
    """The entries of nodes with so many workers; each beside the node with one."""
    made = []
    alone = [run["node_pss"] for run in found[WORKERS[0]]]
    for workers, runs in found.items():
        each = [run["node_pss"] / one for run, one in zip(runs, alone, strict=True)]
        peak = {name: max(run[name] for run in runs) for name in runs[0]}
        made.append(
            {
                "name": "memory_of_a_node",
                "dataset": DATASET,
                "peer": f"{workers}_workers",
                "ratio": statistics.median(each),
                "low": min(each),
                "high": max(each),
                "repeats": len(runs),
                "command": command(),
                "ours": peak["worker_pss"],
                "theirs": peak["node_pss"],
                "unit": "MiB",
                "peaks_mib": peak,
                "note": f"peak of a worker {peak['worker_rss']:.0f} MiB resident, "
                f"{peak['worker_pss']:.0f} its share (ours); of the node with driver and Ray "
                f"{peak['node_pss']:.0f} (theirs); ratio to the node with one worker",
            }
        )
    return made


if __name__ == "__main__":
    main()
