"""A search on three Ray nodes, one of which is killed, hung, cut off or gone, again and again.

The nodes are network namespaces of this machine with addresses of their own; they are started as
the walk-through in clusters/README.md says, by clusters/by_hand.sh with token authentication.
Needs root and Linux; leaves nothing behind.

    python benchmarks/clusters/three_nodes.py --runs 20                # all faults
    python benchmarks/clusters/three_nodes.py --faults killed --runs 5 --add
    python benchmarks/clusters/three_nodes.py --workers 1 --runs 1     # decisions equal to a twin's

Recovery is the time from the fault until every trial that trained on the node trains again
elsewhere; where the network comes back, until such a trial is heard again; where the driver's own
machine goes, until every trial that trained anywhere trains again for a driver that is started on
another at once. Runs go into three_nodes_runs.jsonl, their summary into three_nodes.json.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import statistics
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from disturbed import NAMES, Session
from invariants import decisions
from namespaces import network
from nodes import Cluster

HERE = Path(__file__).parent
RUNS, SUMMARY = HERE / "three_nodes_runs.jsonl", HERE / "three_nodes.json"
TEST = "benchmarks/clusters/three_nodes.py::session"
PROMISES = {
    "node killed": "its trials go on elsewhere from their last checkpoint",
    "node hung, then continued": "its trials go on elsewhere; its late reports are refused",
    "network cut for 8 s": "nothing is lost: its trials are waited for, or go on elsewhere",
    "network cut for good": "its trials go on elsewhere from their last checkpoint",
    "driver machine gone": "the search goes on from its results folder on another machine",
}


def summarise(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One entry a fault, in the form of benchmarks/faults.json."""
    found = []
    for fault, promise in PROMISES.items():
        runs = [line for line in lines if line["fault"] == fault]
        if not runs:
            continue
        good = [line["recovery_seconds"] for line in runs if not line["problems"]]
        found.append(
            {
                "fault": fault,
                "promise": promise,
                "test": TEST,
                "runs": len(runs),
                "survived": len(good),
                "recovery_median_seconds": round(statistics.median(good), 1) if good else None,
                "recovery_worst_seconds": round(max(good), 1) if good else None,
            }
        )
    return found


def session(
    cluster: Cluster, root: Path, fault: str, options: argparse.Namespace
) -> list[dict[str, Any]]:
    """Runs one search with the faults that it gets, and compares it with an undisturbed one."""
    folder = root / f"search-{fault}"
    place = cluster.workers[0] if fault == "driver" else cluster.head
    work = Session(cluster, folder, options, place)
    runs = []
    for number in range(options.runs):
        runs.append(work.make(fault))
        print(f"{fault} {number + 1}: {json.dumps(asdict(runs[-1]))}", file=sys.stderr, flush=True)
    problems = work.end()
    if options.workers == 1:
        twin = root / "twin"
        if not twin.is_dir():
            problems += Session(cluster, twin, options, cluster.head).end()
        if decisions(folder) != decisions(twin):
            problems.append("the decisions are not those of the undisturbed search")
    for problem in problems:
        print(f"{fault}: {problem}", file=sys.stderr, flush=True)
    return [{**asdict(run), "problems": problems} for run in runs]


def main() -> None:
    """Makes the faults, writes what came of them; exit code 1 where an invariant did not hold."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(143))
    if not (options.add or options.dry):
        RUNS.write_text("")
    lines = []
    with tempfile.TemporaryDirectory(prefix="toprung-nodes-") as folder:
        root = Path(folder)
        try:
            with network(["head", "worker1", "worker2"], root / "machines") as machines:
                cluster = Cluster(machines, root)
                unexpected = cluster.unexpected_ports()
                print(f"ports that are not in the README: {unexpected}", file=sys.stderr)
                for fault in options.faults:
                    found = session(cluster, root, fault, options)
                    lines += found
                    if not options.dry:
                        _keep(found)
        finally:
            if options.logs:
                shutil.copytree(root, options.logs, dirs_exist_ok=True,
                                ignore=shutil.ignore_patterns("sockets", "ray"))  # fmt: skip
    print(json.dumps(summarise(lines), indent=2))
    sys.exit(bool(unexpected) or any(line["problems"] for line in lines))


def _keep(lines: list[dict[str, Any]]) -> None:
    """Adds runs to those that were written before, and sums all up."""
    with RUNS.open("a") as file:
        file.write("".join(json.dumps(line) + "\n" for line in lines))
    kept = [json.loads(line) for line in RUNS.read_text().splitlines()]
    SUMMARY.write_text(json.dumps(summarise(kept), indent=2) + "\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=20, help="of each fault")
    parser.add_argument("--faults", nargs="+", choices=list(NAMES), default=list(NAMES))
    parser.add_argument("--workers", type=int, default=2, help="trials at a time")
    parser.add_argument("--trials", type=int, default=1500, help="most that a search may need")
    parser.add_argument("--seconds", type=float, default=0.5, help="of a trial's step; it has 9")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--add", action="store_true", help="to the runs that were written before")
    parser.add_argument("--dry", action="store_true", help="write nothing")
    parser.add_argument("--logs", type=Path, default=None, help="folder to keep all logs in")
    return parser.parse_args()


if __name__ == "__main__":
    main()
