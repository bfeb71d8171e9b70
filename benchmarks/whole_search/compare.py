"""A whole search: seconds to a target score, beside what people run today.

    python benchmarks/whole_search/compare.py --datasets banking77 imdb --repeats 5

Everybody trains the same model on the same rows and has the same list of trials, the same rungs
and two CPUs; see the README of this folder. Runs take turns, each in a process of its own, and
those that are finished are kept in ``results/bench-whole-search.json``: started again, the
script goes on where it was. ``--anew`` forgets them.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import signal
import statistics
import sys
import tempfile
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from setting import SETTINGS, Setting, smallest, spec, write_order, write_rows

from harness import ROOT, arguments, command, data_folder, peer_python, record, say
from processes import run_process
from toprung.learn.device import measure_precision

HERE = Path(__file__).resolve().parent
KEPT = ROOT / "results" / "bench-whole-search.json"
EQUAL_TIME = ("optuna_trainer", "autogluon")
PEERS = ("documented", "strong", *EQUAL_TIME)
Run = dict[str, Any]


class Runs:
    """Finished runs, on disk after each."""

    def __init__(self, path: Path, anew: bool) -> None:
        self.path = path
        self.found: dict[str, Run] = {}
        if path.is_file() and not anew:
            self.found = json.loads(path.read_text(encoding="utf-8"))

    def keep(self, key: str, run: Run) -> None:
        self.found[key] = run
        self.path.parent.mkdir(parents=True, exist_ok=True)
        aside = self.path.with_suffix(".tmp")
        aside.write_text(json.dumps(self.found, indent=1), encoding="utf-8")
        aside.replace(self.path)


def main() -> None:
    # What ends this script ends the run at hand too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    parser = arguments(__doc__)
    parser.add_argument("--datasets", nargs="+", choices=list(SETTINGS), default=list(SETTINGS))
    parser.add_argument("--peers", nargs="+", choices=PEERS, help="all of them")
    parser.add_argument("--documented-repeats", type=int, default=3, help="it takes minutes")
    parser.add_argument("--anew", action="store_true", help="forget what was measured before")
    options = parser.parse_args()
    settings = [SETTINGS[name] for name in options.datasets]
    if options.quick:
        settings = [smallest(setting) for setting in settings[:1]]
        options.repeats = 1
    options.peers = options.peers or (["strong"] if options.quick else PEERS)
    options.peers = [peer for peer in options.peers if interpreter(peer)]
    scratch = KEPT.with_name("bench-whole-search-quick.json") if options.quick else KEPT
    runs = Runs(scratch, options.anew or options.quick)
    for setting in settings:
        data = data_folder(options.data, setting.dataset)
        with tempfile.TemporaryDirectory(prefix="toprung-search-") as work:
            folder = write_rows(setting, data, Path(work))
            for repeat in range(options.repeats):
                take_turn(setting, folder, repeat, options, runs)
        record(entries(setting, options, runs), quick=options.quick)


def take_turn(
    setting: Setting, folder: Path, repeat: int, options: argparse.Namespace, runs: Runs
) -> None:
    """One run of every contestant that has not had its turn yet."""
    peers = [p for p in options.peers if repeat < repeats_of(p, options)]
    turn = ["ours", *peers] if repeat % 2 == 0 else [*reversed(peers), "ours"]
    # Who is given our time comes after us.
    turn.sort(key=lambda name: name in EQUAL_TIME)
    for name in turn:
        key = key_of(setting, name, repeat)
        if key in runs.found:
            continue
        ours = runs.found.get(key_of(setting, "ours", repeat), {})
        say(f"{setting.dataset}, {name}, {repeat + 1} of {repeats_of(name, options)}")
        found = run(setting, folder, name, seed=101 + repeat, seconds=ours.get("seconds"))
        runs.keep(key, found)
        best = max((report["score"] for report in found["reports"]), default=0.0)
        hit = seconds_to(found, setting.target)
        when = "never reached" if hit is None else f"after {hit:.0f} s"
        say(f"  {found['seconds']:.0f} s in all, best {best:.3f}, target {when}")


def run(setting: Setting, folder: Path, name: str, *, seed: int, seconds: float | None) -> Run:
    """One search in a process of its own, with its CPU-seconds and memory."""
    work = Path(tempfile.mkdtemp(prefix=f"toprung-{name}-"))
    try:
        if name == "ours":
            (work / "search.yaml").write_text(spec(setting, folder, seed), encoding="utf-8")
            rungs = [str(rung) for rung in setting.rungs]
            line = [sys.executable, str(HERE / "ours.py"), str(work), *rungs]
        else:
            order = write_order(setting, folder, work, seed)
            order |= {"seconds": seconds, "precision": quicker_precision()}
            line = peer_line(name, json.dumps(order))
        env = {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "PYTHONPATH": ""}
        done = run_process(line, env, 3600)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    errors = done.output.get("errors", ["no output"])
    if errors or not done.output["reports"]:
        raise SystemExit(f"{name} on {setting.dataset}: {errors or 'no score'}")
    measured = {name: getattr(done, name) for name in ("wall", "cpu", "peak_rss", "others")}
    return {**done.output, **measured}


@lru_cache
def quicker_precision() -> str:
    """The precision in which a trial trains sooner here; ours measures it in the same way."""
    return measure_precision("cpu", 1).precision


def peer_line(name: str, order: str) -> list[str]:
    """The command of a peer."""
    python = interpreter(name)
    assert python is not None
    script = {"optuna_trainer": "optuna_trainer.py", "autogluon": "autogluon_text.py"}
    form = [] if name in EQUAL_TIME else ["--form", name]
    return [python, str(HERE / "peers" / script.get(name, "ray_trainer.py")), *form, order]


def interpreter(name: str) -> str | None:
    """The Python of a peer's environment; None, and a line, where AutoGluon has none."""
    if name != "autogluon":
        return peer_python()
    found = os.environ.get("TOPRUNG_AUTOGLUON_PYTHON", str(ROOT / ".venv-autogluon/bin/python"))
    if Path(found).is_file():
        return found
    say(f"skipped: autogluon has no interpreter at {found}; see {HERE.name}/README.md")
    return None


def repeats_of(name: str, options: argparse.Namespace) -> int:
    """How often a contestant runs."""
    most: int = options.repeats
    return min(most, options.documented_repeats) if name == "documented" else most


def key_of(setting: Setting, name: str, repeat: int) -> str:
    """The name of a run; of another size or other code, nothing is kept. The target may change."""
    size = (*setting.rungs, setting.rows, setting.held_out, setting.configurations())
    code = _code(ROOT / "src" / "toprung") if name == "ours" else _code(HERE / "peers")
    facts = hashlib.sha256(json.dumps([size, code, quicker_precision()]).encode()).hexdigest()[:12]
    return f"{setting.dataset}/{name}/{repeat}/{facts}"


@lru_cache
def _code(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def seconds_to(found: Run, target: float) -> float | None:
    """When a score was first there; None where it never was."""
    hits = [report["seconds"] for report in found["reports"] if report["score"] >= target]
    return min(hits, default=None)


def entries(setting: Setting, options: argparse.Namespace, runs: Runs) -> list[dict[str, Any]]:
    """The entries of a data set: every peer beside ours."""
    made = []
    for peer in options.peers:
        count = repeats_of(peer, options)
        pairs = [
            tuple(runs.found[key_of(setting, name, repeat)] for name in ("ours", peer))
            for repeat in range(count)
        ]
        compare = at_equal_time if peer in EQUAL_TIME else to_target
        made.append({**base(setting, peer, pairs), **compare(setting, pairs)})
    return made


def base(setting: Setting, peer: str, pairs: Sequence[Any]) -> dict[str, Any]:
    """What every entry says."""
    sides = {"ours": [our for our, _ in pairs], "theirs": [their for _, their in pairs]}
    facts = {
        side: {
            "best_scores": [max(r["score"] for r in run["reports"]) for run in found],
            "whole_seconds": statistics.median(run["seconds"] for run in found),
            "cpu_seconds": statistics.median(run["cpu"] for run in found),
            "trials": statistics.median(len({r["trial"] for r in run["reports"]}) for run in found),
            "peak_rss_mib": max(run["peak_rss"] for run in found) / 2**20,
        }
        for side, found in sides.items()
    }
    return {
        "name": "whole_search",
        "dataset": setting.dataset,
        "peer": peer,
        "repeats": len(pairs),
        "command": command(),
        "unit": "s",
        "target": setting.target,
        "rungs": list(setting.rungs),
        "facts": facts,
    }


def to_target(setting: Setting, pairs: Sequence[Any]) -> dict[str, Any]:
    """Seconds to the target, theirs over ours.

    A peer that never got there counts with its whole time, which flatters it; were it us, the
    ratio would be worth nothing, and is 0.
    """
    ours = [seconds_to(our, setting.target) for our, _ in pairs]
    theirs = [seconds_to(their, setting.target) for _, their in pairs]
    whole = [their["seconds"] for _, their in pairs]
    spent = [given or most for given, most in zip(theirs, whole, strict=True)]
    each = [0.0 if our is None else their / our for our, their in zip(ours, spent, strict=True)]
    missed = {"ours": ours.count(None), "theirs": theirs.count(None)}
    total = [their["seconds"] / our["seconds"] for our, their in pairs]
    note = f"seconds to {setting.target:.3g}; whole searches: {statistics.median(total):.1f}×"
    if any(missed.values()):
        note += f"; never reached by ours {missed['ours']}, by the peer {missed['theirs']} times"
    if quicker_precision() == "float32":
        note += "; all in float32, as the CPU emulates bfloat16"
    note += disturbed(pairs)
    return {
        **spread(each),
        "ours": statistics.median([our for our in ours if our is not None] or [0.0]),
        "theirs": statistics.median(spent),
        "missed": missed,
        "whole_ratio": spread(total),
        "note": note,
    }


def at_equal_time(setting: Setting, pairs: Sequence[Any]) -> dict[str, Any]:
    """How much sooner ours had the peer's best score of the time that ours took in all.

    Where ours never had it, how much later the peer's run was than when it passed our best.
    """
    each, ours, theirs = [], [], []
    for our, their in pairs:
        best = max(report["score"] for report in their["reports"])
        reached = max(report["score"] for report in our["reports"])
        common = min(best, reached)
        mine, yours = seconds_to(our, common), seconds_to(their, common)
        assert mine is not None
        assert yours is not None
        each.append(yours / mine)
        ours.append(mine)
        theirs.append(yours)
    scores = [
        statistics.median(max(r["score"] for r in pair[side]["reports"]) for pair in pairs)
        for side in (0, 1)
    ]
    note = (
        f"at equal time: best score {scores[0]:.3f} ours, {scores[1]:.3f} the peer's; ratio of "
        f"seconds to the lower of both{disturbed(pairs)}"
    )
    return {
        **spread(each),
        "ours": statistics.median(ours),
        "theirs": statistics.median(theirs),
        "best_score_ours": scores[0],
        "best_score_theirs": scores[1],
        "note": note,
    }


def disturbed(pairs: Sequence[Any]) -> str:
    """What to add to a note where other processes took more than a twentieth of the machine."""
    worst = max(run["others"] for pair in pairs for run in pair)
    return f"; not quiet: others took up to {worst:.0%} of the machine" if worst > 0.05 else ""


def spread(each: Sequence[float]) -> dict[str, float]:
    """Median, least and most."""
    return {"ratio": statistics.median(each), "low": min(each), "high": max(each)}


if __name__ == "__main__":
    main()
