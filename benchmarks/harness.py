"""Runs contestants side by side, and keeps what they showed in results.json.

A script of a benchmark makes this importable with
``sys.path.insert(0, str(Path(__file__).parents[1]))``, and needs three things of it:

- ``arguments(...)``: the options that every benchmark has;
- ``interleave(contestants, repeats)``: A B, B A, A B, …, each run in a fresh process;
- ``record([entry(...), ...], quick=...)``: into results.json, and RESULTS.md from it.

``python benchmarks/harness.py`` renders RESULTS.md anew; ``--check`` says whether it is stale.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shlex
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock

from machine import machine
from processes import Finished, run_process
from rendering import render as render_text

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results.json"
TABLE = ROOT / "benchmarks" / "RESULTS.md"
SCRATCH = ROOT / "results" / "bench-quick.json"
KEYS = ("name", "dataset", "peer", "ratio", "low", "high", "repeats", "command")

Entry = dict[str, Any]


@dataclass(frozen=True)
class Contestant:
    """One side of a comparison.

    Attributes:
        name: ``ours``, or the peer's.
        command: whose last line on the standard output is a JSON object.
        env: added to this process's.
        timeout_seconds: after which it is ended and counts as failed.
    """

    name: str
    command: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    timeout_seconds: float = 3600.0


def interleave(
    contestants: Sequence[Contestant], repeats: int, keep: Path | None = None
) -> dict[str, list[Finished]]:
    """Runs every contestant so many times, in turns, the order reversed at every second turn.

    Each ``Finished`` holds ``wall`` and ``cpu`` in seconds, ``peak_rss`` in bytes (of the whole
    tree of processes) and ``output``, the JSON object that the contestant printed last.

    Args:
        contestants: in the order of the first turn.
        repeats: turns.
        keep: a file that holds the finished runs until all are done, so that a script that was
            stopped goes on; those of other commands or another code in ``src`` are not taken.

    Raises:
        RuntimeError: a contestant failed; its last lines stand in the message.
    """
    runs: dict[str, list[Finished]] = {contestant.name: [] for contestant in contestants}
    kept = _read_kept(keep)
    for repeat in range(repeats):
        turn = contestants if repeat % 2 == 0 else list(reversed(contestants))
        for one in turn:
            say(f"{one.name}, {repeat + 1} of {repeats}")
            key = json.dumps([repeat, code_digest(), *one.command])
            if key not in kept:
                kept[key] = run_process(one.command, one.env, one.timeout_seconds)
                _write_kept(keep, kept)
            found = kept[key]
            runs[one.name].append(found)
            rate = found.output.get("rows_per_second")
            said = f"; {rate:.1f} rows/s" if rate else ""
            said += f"; {found.others:.0%} of the machine busy otherwise"
            say(f"  {found.wall:.1f} s, {found.cpu:.1f} CPU-s{said}")
    if keep:
        keep.unlink(missing_ok=True)
    return runs


def disturbance(runs: Mapping[str, Sequence[Finished]]) -> str:
    """What to add to a note where other processes took more than a twentieth of the machine."""
    worst = max((run.others for done in runs.values() for run in done), default=0.0)
    return f"; not quiet: others took up to {worst:.0%} of the machine" if worst > 0.05 else ""


def code_digest() -> str:
    """A hash of the package and of the benchmarks' own programs."""
    digest = hashlib.sha256()
    for folder in ("src/toprung", "benchmarks/training", "benchmarks/peers"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _read_kept(keep: Path | None) -> dict[str, Finished]:
    if keep is None or not keep.exists():
        return {}
    found = json.loads(keep.read_text(encoding="utf-8"))
    return {key: Finished(**run) for key, run in found.items()}


def _write_kept(keep: Path | None, kept: Mapping[str, Finished]) -> None:
    if keep is not None:
        keep.parent.mkdir(parents=True, exist_ok=True)
        _write(keep, json.dumps({key: vars(run) for key, run in kept.items()}))


def ratios(ours: Sequence[float], theirs: Sequence[float], better: str) -> dict[str, float]:
    """How many times better ours is, repeat by repeat: the median, the least and the most.

    Args:
        ours, theirs: one value a repeat, in the order of the repeats.
        better: ``lower`` for seconds, ``higher`` for rows per second.

    >>> ratios([1.0, 2.0, 1.0], [4.0, 4.0, 3.0], "lower")
    {'ratio': 3.0, 'low': 2.0, 'high': 4.0}
    """
    pairs = list(zip(ours, theirs, strict=True))
    each = [their / our if better == "lower" else our / their for our, their in pairs]
    return {"ratio": statistics.median(each), "low": min(each), "high": max(each)}


def entry(
    name: str,
    dataset: str,
    peer: str,
    *,
    ours: Sequence[float],
    theirs: Sequence[float],
    unit: str,
    better: str,
    **extra: Any,
) -> Entry:
    """An entry of results.json from the values of each repeat.

    Args:
        name, dataset, peer: the entry's key.
        ours, theirs: one value a repeat.
        unit: of the values: ``rows/s``, ``s``, …
        better: ``lower`` or ``higher``.
        extra: further keys; ``note`` is printed, ``bar`` and ``met`` replace the known bar.
    """
    return {
        "name": name,
        "dataset": dataset,
        "peer": peer,
        **ratios(ours, theirs, better),
        "repeats": len(ours),
        "command": command(),
        "ours": statistics.median(ours),
        "theirs": statistics.median(theirs),
        "unit": unit,
        **extra,
    }


def record(entries: Sequence[Entry], quick: bool = False) -> None:
    """Merges entries into results.json by (name, dataset, peer), and renders RESULTS.md.

    With ``quick``, or with the environment variable TOPRUNG_BENCH_RESULTS naming a file, both are
    left alone: the entries go to that file (or to results/bench-quick.json).

    Raises:
        ValueError: an entry lacks a key.
    """
    for one in entries:
        if lacking := [key for key in KEYS if key not in one]:
            raise ValueError(f"the entry {one.get('name')} lacks {', '.join(lacking)}")
    path = results_path(quick)
    path.parent.mkdir(parents=True, exist_ok=True)
    (ROOT / "results").mkdir(exist_ok=True)
    with FileLock(ROOT / "results" / f".{path.name}.lock"):
        kept = {_key(one): one for one in load(path)}
        for one in entries:
            kept[_key(one)] = _rounded({"machine": machine(), **one})
        ordered = [kept[key] for key in sorted(kept)]
        _write(path, json.dumps(ordered, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
        if path == RESULTS:
            render()
    for one in entries:
        low, high = one["low"], one["high"]
        where = f"{one['name']} · {one['dataset']} · {one['peer']}"
        say(f"{where}: {one['ratio']:.3g} ({low:.3g}–{high:.3g})")


def render() -> None:
    """Writes RESULTS.md from results.json."""
    _write(TABLE, render_text(load(RESULTS)))


def load(path: Path) -> list[Entry]:
    """The entries of a file of results; none where there is no file."""
    if not path.exists():
        return []
    entries: list[Entry] = json.loads(path.read_text(encoding="utf-8"))
    return entries


def results_path(quick: bool) -> Path:
    """Where entries go: results.json, or aside."""
    named = os.environ.get("TOPRUNG_BENCH_RESULTS")
    return Path(named) if named else SCRATCH if quick else RESULTS


def arguments(description: str | None, repeats: int = 5) -> argparse.ArgumentParser:
    """A parser with the options of every benchmark: --quick, --repeats, --data."""
    first = (description or "").strip().splitlines()[0]
    parser = argparse.ArgumentParser(description=first)
    parser.add_argument("--quick", action="store_true", help="smallest sizes; not recorded")
    parser.add_argument("--repeats", type=int, default=repeats, help="of every contestant")
    data = Path(os.environ.get("TOPRUNG_DATA", ROOT.parent / "shared" / "data"))
    parser.add_argument("--data", type=Path, default=data, help="folder of data sets")
    return parser


def data_folder(data: Path, name: str) -> Path:
    """The folder of a data set; ends the script with a clear line where it is not there."""
    folder = data / name
    if not folder.is_dir():
        say(f"skipped: there is no data set at {folder}; name its parent with --data")
        raise SystemExit(0)
    return folder


def peer_python() -> str:
    """The interpreter of the peers' environment.

    Raises:
        SystemExit: there is none.
    """
    named = os.environ.get("TOPRUNG_PEER_PYTHON")
    found = Path(named) if named else ROOT / ".venv-peers" / "bin" / "python"
    if not found.is_file():
        raise SystemExit(f"no interpreter for peers at {found}; `make bench` sets one up")
    return str(found)


def command() -> str:
    """The command line that runs this script again, from the root of the repository."""
    script = Path(sys.argv[0]).resolve()
    inside = script.relative_to(ROOT) if script.is_relative_to(ROOT) else Path(script.name)
    return shlex.join(["python", str(inside), *sys.argv[1:]])


def say(text: str) -> None:
    """A line of progress."""
    print(text, file=sys.stderr, flush=True)


def _key(one: Entry) -> tuple[str, str, str]:
    return one["name"], one["dataset"], one["peer"]


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, Mapping):
        return {key: _rounded(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(inner) for inner in value]
    return value


def _write(path: Path, text: str) -> None:
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    aside.write_text(text, encoding="utf-8")
    aside.replace(path)


def main() -> None:
    parser = argparse.ArgumentParser(description="Renders RESULTS.md from results.json.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if it is stale")
    if not parser.parse_args().check:
        return render()
    if not TABLE.exists() or TABLE.read_text(encoding="utf-8") != render_text(load(RESULTS)):
        raise SystemExit("RESULTS.md is stale: run python benchmarks/harness.py")


if __name__ == "__main__":
    main()
