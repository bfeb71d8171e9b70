"""Kills the driver of a real search again and again; the search must end as if nobody had.

One search on a local Ray with one worker runs undisturbed. The same search runs again, and its
driver gets SIGKILL at random moments, each time followed by ``toprung resume``. Both must end
with the same reports, decisions, leaderboard and ensemble members.

    python benchmarks/faults/kill_driver.py --kills 30
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from stories import repeated, story

SPEC = """
name: killed
task: single_label
data: {corpus: {tickets: {rows: 600}}}
space:
  backbone: {minilm: {depth: [1, 2]}}
  adapter: {full: {}, frozen: {}, lora: {rank: {int: [4, 16], log: true}}}
  pooling: [cls, mean]
  loss: [cross_entropy, focal]
  learning_rate: {float: [1e-4, 1e-2], log: true}
  max_length: 24
searcher: {tpe: {startup: 4}}
resource: {unit: examples, min: EXAMPLES, max: ALL}
budget: {trials: TRIALS}
trial: {cpus: CPUS, precision: float32}
baselines: [majority]
ensemble: {greedy: {members: 2, candidates: 3}}
seed: 3
"""
_LONGEST = 240.0
"""Seconds until a driver is killed although it has not reported."""
TOPRUNG = [sys.executable, "-m", "toprung.cli.main"]


def main() -> None:
    """Runs both searches, compares them, and prints a JSON record; exit code 1 on a difference."""
    options = _options()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        spec = root / "killed.yaml"
        sizes = {"EXAMPLES": options.examples, "ALL": 9 * options.examples}
        sizes |= {"TRIALS": options.trials, "CPUS": os.cpu_count()}
        text = SPEC
        for name, value in sizes.items():
            text = text.replace(name, str(value))
        spec.write_text(text)
        began = time.monotonic()
        _run("search", str(spec), root / "whole", "--runner", options.twin).wait()
        whole_seconds = time.monotonic() - began
        kills = _kill_until_done(spec, root / "cut", options)
        whole, cut = (_outcome(root / name / "killed") for name in ("whole", "cut"))
        twice = repeated(root / "cut" / "killed" / "journal.jsonl")
    differences = [name for name in whole if whole[name] != cut[name]]
    record = {
        "kills": len(kills),
        "kills_in_training": sum(kills),
        "undisturbed_seconds": round(whole_seconds, 1),
        "reports": len(whole["reports"]),
        "reports_given_twice": len(twice),
        "decisions": len(whole["decisions"]),
        "differences": differences,
        "members": cut["members"],
    }
    print(json.dumps(record, indent=2))
    sys.exit(bool(differences or record["reports_given_twice"]))


def _kill_until_done(spec: Path, results: Path, options: argparse.Namespace) -> list[bool]:
    """For each kill, whether the driver had written to the journal in that life."""
    chance = random.Random(options.seed)
    journal = results / "killed" / "journal.jsonl"
    kills: list[bool] = []
    process = _run("search", str(spec), results)
    while len(kills) < options.kills:
        before = _size(journal)
        enough = _reports(journal) + options.reports if options.reports else None
        life = _LONGEST if enough else chance.uniform(options.shortest, options.longest)
        ends = time.monotonic() + life
        while process.poll() is None and not _is_over(journal, enough, ends):
            time.sleep(0.02)
        if process.poll() is not None:
            break
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        kills.append(_size(journal) > before)
        print(f"kill {len(kills)}: journal at {_size(journal)} bytes", file=sys.stderr)
        begun = journal.exists()
        process = _run(*(("resume", "killed") if begun else ("search", str(spec))), results)
    if process.wait() not in (0, 4):
        sys.exit(f"the resumed search ended with exit code {process.returncode}")
    return kills


def _is_over(journal: Path, enough: int | None, ends: float) -> bool:
    """Whether a life is: after so many reports, where any are named, or after its time."""
    if time.monotonic() > ends:
        return True
    return enough is not None and _reports(journal) >= enough


def _reports(journal: Path) -> int:
    return journal.read_bytes().count(b'"kind": "reported"') if journal.exists() else 0


def _run(verb: str, what: str, results: Path, *words: str) -> subprocess.Popen[bytes]:
    results.mkdir(parents=True, exist_ok=True)
    command = [*TOPRUNG, verb, what, "--results", str(results), *words]
    log = (results / "log").open("ab")
    return subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)


def _outcome(folder: Path) -> dict[str, list[object]]:
    with (folder / "leaderboard.csv").open(newline="") as file:
        rows = [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]
    said = json.loads((folder / "ensemble" / "ensemble.json").read_text())
    members = [(m["trial"], m["weight"], m["sha256"]) for m in said["members"]]
    return {
        **story(folder / "journal.jsonl"),
        "leaderboard": rows,
        "members": members,
        "test": [said["test"]["value"], said["temperature"]],
    }


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--examples", type=int, default=128, help="of the lowest rung")
    parser.add_argument("--shortest", type=float, default=8.0, help="seconds of a life")
    parser.add_argument("--longest", type=float, default=30.0)
    parser.add_argument("--reports", type=int, default=0, help="of a life, in the place of seconds")
    parser.add_argument("--twin", default="ray", help="runner of the undisturbed one")
    return parser.parse_args()


if __name__ == "__main__":
    main()
