"""Three searches at once on one cluster: what share of it each gets, beside its priority.

    python benchmarks/clusters/fair_shares.py --seconds 40

A Ray of its own on this machine, with as many CPUs as --cpus says; trials sleep. The searches
start one after the other: the first has the whole cluster until the second comes. Shares are
trial-seconds in a time in which all three have work, which begins --settle seconds after the last
one's first trial.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from invariants import broken, trained
from nodes import environment

HERE = Path(__file__).parent
SCRIPT = HERE.parents[1] / "clusters" / "this_machine.sh"
TABLE = HERE / "fair_shares.json"


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def at_work(folder: Path, moment: float) -> int:
    """How many trials trained at a moment: begun before it, with a step after it."""
    spans: dict[tuple[str, str, float], list[float]] = {}
    begun: dict[tuple[str, str], float] = {}
    for line in trained(folder):
        key = (line["process"], line["trial"])
        if line["point"] is None:
            begun[key] = line["at"]
        spans.setdefault((*key, begun[key]), []).append(line["at"])
    return sum(min(times) <= moment <= max(times) for times in spans.values())


def measure(options: argparse.Namespace, root: Path) -> dict[str, Any]:
    """Starts a Ray and the searches, and counts."""
    ports = {"TOPRUNG_GCS_PORT": str(free_port()), "TOPRUNG_DASHBOARD_PORT": str(free_port())}
    own = {**environment(), "HOME": str(root), "RAY_AUTH_MODE": "token"}
    env = {**os.environ, **ports, **own}
    words = [f"--num-cpus={options.cpus}", "--object-store-memory=80000000"]
    words += [f"--temp-dir={root}/ray", f"--dashboard-agent-listen-port={free_port()}"]
    words += [f"--ray-client-server-port={free_port()}"]
    log = (root / "log").open("ab")
    head = subprocess.Popen(
        ["bash", str(SCRIPT), *words], env=env, stdout=log, stderr=log, start_new_session=True
    )
    searches: list[subprocess.Popen[bytes]] = []
    folders = [root / f"search{n}" for n in range(len(options.priorities))]
    try:
        _until_up(int(ports["TOPRUNG_GCS_PORT"]))
        for folder, priority in zip(folders, options.priorities, strict=True):
            command = [sys.executable, str(HERE / "sleeping.py"), "--folder", str(folder)]
            command += ["--address", f"127.0.0.1:{ports['TOPRUNG_GCS_PORT']}", "--trials", "300"]
            command += ["--priority", str(priority), "--seconds", str(options.step)]
            searches.append(subprocess.Popen(command, env=env, stdout=log, stderr=log))
            _until_trains(folder, searches[-1])
        time.sleep(options.settle)
        began = time.time()
        time.sleep(options.seconds)
        ended = time.time()
        moments = [began + 0.5 * n for n in range(int(2 * (ended - began)))]
        counts = [[at_work(folder, moment) for folder in folders] for moment in moments]
        for folder in folders:
            (folder / "enough").touch()
        codes = [search.wait(timeout=240) for search in searches]
    finally:
        for search in searches:
            search.kill()
        _end(head)
    problems = [f"search {n}: {p}" for n, f in enumerate(folders) for p in broken(f, 300, 7)]
    problems += [f"search {n} ended with {code}" for n, code in enumerate(codes) if code]
    means = [sum(column) / len(counts) for column in zip(*counts, strict=True)]
    total, weights = sum(means), sum(options.priorities)
    return {
        "cpus": options.cpus,
        "seconds": round(ended - began, 1),
        "used": round(total / options.cpus, 3),
        "searches": [
            {
                "priority": priority,
                "trials_at_a_time": round(mean, 2),
                "share": round(mean / total, 3),
                "fair_share": round(priority / weights, 3),
            }
            for priority, mean in zip(options.priorities, means, strict=True)
        ],
        "problems": problems,
    }


def _until_up(port: int) -> None:
    ends = time.monotonic() + 90
    while time.monotonic() < ends:
        with socket.socket() as door:
            if door.connect_ex(("127.0.0.1", port)) == 0:
                time.sleep(4.0)
                return
        time.sleep(0.2)
    sys.exit("Ray has not come up")


def _until_trains(folder: Path, search: subprocess.Popen[bytes]) -> None:
    ends = time.monotonic() + 120
    while not ((folder / "trained").is_dir() and trained(folder)):
        if time.monotonic() > ends or search.poll() is not None:
            sys.exit(f"{folder.name} does not train (exit code {search.poll()})")
        time.sleep(0.2)


def _end(head: subprocess.Popen[bytes]) -> None:
    """Ends the Ray that was started here, and no other: its own session of processes."""
    head.terminate()
    try:
        head.wait(timeout=30)
    except subprocess.TimeoutExpired:
        os.killpg(head.pid, signal.SIGKILL)
        head.wait()


def main() -> None:
    """Measures, writes the table; exit code 1 where an invariant did not hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cpus", type=int, default=8, help="of the cluster; trials only sleep")
    parser.add_argument("--priorities", type=float, nargs="+", default=[1.0, 1.0, 2.0])
    parser.add_argument("--seconds", type=float, default=40.0, help="that are counted")
    parser.add_argument("--settle", type=float, default=12.0, help="before them")
    parser.add_argument("--step", type=float, default=0.5, help="seconds of each of 9")
    parser.add_argument("--dry", action="store_true", help="write nothing")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(143))
    with tempfile.TemporaryDirectory(prefix="tr-", ignore_cleanup_errors=True) as root:
        found = measure(options, Path(root))
    if not options.dry:
        TABLE.write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found, indent=2))
    sys.exit(bool(found["problems"]))


if __name__ == "__main__":
    main()
