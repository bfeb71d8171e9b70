"""Fills the disk of a search at a random moment, twenty times; it must wait, and then go on.

Results lie on a small disk of memory (root is needed to mount it). At a random moment all that is
free is taken; the search must pause with a clear message and its journal whole, and once there is
room again go on by itself and end with the suggestions, reports and decisions of its undisturbed
twin, no trial charged with a failure.

    python benchmarks/faults/disk_full.py --times 20
    python benchmarks/faults/disk_full.py --real --times 2    # a real search with its training
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stories import broken_rules, repeated, story, trained_twice
from table import Entry, record

from toprung.trial.history import History
from toprung.trial.journal import read_events

HERE = Path(__file__).resolve().parent
RECORD = HERE / "disk_full.json"
FAULT = "disk full, then freed"
SPEC = """
name: search
task: single_label
data: {corpus: {tickets: {rows: 600}}, train_rows: 192}
space:
  backbone: {minilm: {depth: 1}}
  adapter: {lora: {rank: [2, 4]}, frozen: {}}
  pooling: [cls, mean]
  learning_rate: {float: [1e-3, 1e-2], log: true}
  max_length: 16
scheduler: {asha: {reduction_factor: 2}}
searcher: random
resource: {unit: examples, min: 64, max: 128}
budget: {trials: 8}
trial: {precision: float32, cache_gib: 0}
baselines: [majority]
ensemble: {uniform: {members: 2, candidates: 2}}
seed: 7
"""


@contextmanager
def small_disk(kibibytes: int) -> Iterator[Path]:
    """A disk of memory, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="toprung-disk-") as folder:
        size = f"size={kibibytes}k"
        subprocess.run(["mount", "-t", "tmpfs", "-o", size, "toprung", folder], check=True)
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", "-l", folder], check=False)


def command(root: Path, real: bool) -> list[str]:
    """Starts the search below a folder, or goes on with it."""
    if not real:
        words = ["--trials", "9", "--seconds", "0.02", "--ballast", "20000"]
        return [sys.executable, str(HERE / "short_search.py"), str(root / "search"), *words]
    spec = root.parent / f"{root.name}.yaml"
    spec.write_text(SPEC)
    words = ["search", str(spec), "--runner", "inline", "--results", str(root)]
    return [sys.executable, "-m", "toprung.cli.main", *words]


def once(real: bool, chance: random.Random, wanted: dict[str, object]) -> tuple[list[str], float]:
    """Fills the disk once; what went wrong, in words, and the seconds until the search went on."""
    with small_disk(131072 if real else 4096) as root:
        journal, log = root / "search" / "journal.jsonl", Path(f"{root}.log")
        with log.open("wb") as said:
            process = subprocess.Popen(command(root, real), stdout=said, stderr=said)
        begins = _lines(journal, process, chance.randrange(2, 30))
        time.sleep(chance.uniform(0.0, 0.3))
        if process.poll() is not None:
            return [f"it had ended before, at {begins} events"], 0.0
        filling = root / "filling"
        with filling.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(root).free)
        seconds, wrong = _wait(process, journal, log, filling)
        if process.wait(timeout=300) not in (0, 4):
            wrong.append(f"exit code {process.returncode}: {log.read_text()[-300:]}")
        records = History.of(read_events(journal)).trials.values()
        wrong += [f"{r.config.trial} charged: {r.reason}" for r in records if r.failures]
        told = story(journal)
        wrong += [f"{name} differ" for name in wanted if told[name] != wanted[name]]
        wrong += [f"{trial} reported {at} twice" for trial, at in repeated(journal)]
        if not real:
            wrong += broken_rules(journal, 9) + trained_twice(root / "search")
        log.unlink()
    return wrong, seconds


def _wait(
    process: subprocess.Popen[bytes], journal: Path, log: Path, filling: Path
) -> tuple[float, list[str]]:
    """Makes room a while after the search has paused; the seconds until it went on from there."""
    until = time.monotonic() + 60
    while "paused: " not in log.read_text() and process.poll() is None:
        if time.monotonic() > until:
            filling.unlink()
            return 0.0, ["it did not pause"]
        time.sleep(0.02)
    time.sleep(1.0)
    before = len(read_events(journal))
    filling.unlink()
    began = time.monotonic()
    while len(read_events(journal)) <= before and process.poll() is None:
        time.sleep(0.02)
    return time.monotonic() - began, []


def _lines(journal: Path, process: subprocess.Popen[bytes], most: int) -> int:
    found = 0
    while found < most and process.poll() is None:
        time.sleep(0.02)
        found = journal.read_bytes().count(b"\n") if journal.exists() else 0
    return found


def main() -> None:
    """Fills and frees so often; exit code 1 where a search was damaged or ended otherwise."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--real", action="store_true", help="with real training")
    parser.add_argument("--dry", action="store_true", help="record nothing")
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("skipped: only root may mount a small disk")
    chance = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        twin = Path(folder) / "whole"
        twin.mkdir()
        subprocess.run(command(twin, options.real), stderr=subprocess.DEVNULL, check=False)
        wanted = story(twin / "search" / "journal.jsonl")
    said = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    kind = "real" if options.real else "short"
    found: list[tuple[list[str], float]] = []
    while len(found) < options.times:
        wrong, seconds = once(options.real, chance, dict(wanted))
        if wrong and wrong[0].startswith("it had ended"):
            continue
        found.append((wrong, round(seconds, 2)))
        print(f"{len(found)}: {seconds:.1f} s {wrong or ''}", file=sys.stderr)
    said[kind] = {
        "times": len(found),
        "survived": sum(not wrong for wrong, _ in found),
        "seconds": [seconds for _, seconds in found],
        "problems": [what for wrong, _ in found for what in wrong],
    }
    if not options.dry:
        RECORD.write_text(json.dumps(said, indent=1) + "\n")
        times = sum(one["times"] for one in said.values())
        seconds = [second for one in said.values() for second in one["seconds"]]
        record(Entry(FAULT, times, sum(one["survived"] for one in said.values()), seconds))
    print(json.dumps(said[kind]))
    sys.exit(bool(said[kind]["problems"]))


if __name__ == "__main__":
    main()
