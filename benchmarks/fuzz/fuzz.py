"""Hands mutated specs, journals, data files, backbones, ensembles and checkpoints to toprung.

Each case must be accepted, or refused with one of toprung's own errors: no other exception, no
case of more than 20 s of processor time, no memory beyond 1 GiB over what the process had before,
no crash, and nothing executed: pickles, YAML tags and planted code would leave a file. A case is
its seed and number, so that any can be run again; the first that fails is printed and its files
are kept. A run that was cut off goes on where it stopped.

    python benchmarks/fuzz/fuzz.py --cases 100000 --out benchmarks/fuzz/results.json
    python benchmarks/fuzz/fuzz.py --only 1234
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
WAIT_SECONDS = 300.0
"""Without a word of the worker: it hangs where no processor time is spent."""
AT_ONCE = 2500
_QUIET = {"OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2", "TOKENIZERS_PARALLELISM": "false"}
_QUIET |= {"HF_HUB_OFFLINE": "1", "ARROW_IO_THREADS": "1", "HF_DATASETS_OFFLINE": "1"}


def main() -> None:
    """Runs the cases, prints a summary; exit code 1 where any failed."""
    options = _options()
    state = _open(options)
    if options.render:
        print(render(_told(state)))
        return
    base = options.base or Path(tempfile.gettempdir()) / f"toprung-fuzz-base-{os.getuid()}"
    _build(base)
    run = Run(state, base, options)
    threads = [threading.Thread(target=run.work) for _ in range(options.workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps(_told(state), indent=2))
    sys.exit(bool(state["failures"]))


class Run:
    """Spans of cases, each in a process of its own, several at a time.

    Args:
        state: what was found so far; a span counts when it is through.
        base: folder of the sound files.
        options: of the command line.
    """

    def __init__(self, state: dict[str, Any], base: Path, options: argparse.Namespace) -> None:
        self.state, self.base, self.options = state, base, options
        self.ends = time.monotonic() + options.minutes * 60
        self.lock = threading.Lock()
        first, last = 0, options.cases
        if options.only is not None:
            first, last = options.only, options.only + 1
        spans = [(at, min(last, at + AT_ONCE)) for at in range(first, last, AT_ONCE)]
        self.spans = [span for span in spans if list(span) not in state["done"]]

    def work(self) -> None:
        """Takes span after span, until none is left, the time is over or a case has failed."""
        while time.monotonic() < self.ends:
            with self.lock:
                if not self.spans or (self.state["failures"] and not self.options.go_on):
                    return
                span = self.spans.pop(0)
            found = _new()
            at = span[0]
            while at < span[1] and time.monotonic() < self.ends:
                at = self._part(found, at, span[1])
                if found["failures"] and not self.options.go_on:
                    break
            with self.lock:
                if at == span[1] or found["failures"]:
                    _merge(self.state, found, span if at == span[1] else None)
                    _save(self.state, self.options)

    def _part(self, found: dict[str, Any], first: int, last: int) -> int:
        """Runs cases in one process; returns the number of the next case."""
        command = [sys.executable, str(HERE / "worker.py"), str(self.base)]
        command += map(str, (self.state["seed"], first, last))
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=_environment()
        )
        lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=_read, args=(process.stdout, lines), daemon=True).start()
        at, current = first, {"begins": first, "kind": "?"}
        problem = ""
        try:
            while said := json.loads(lines.get(timeout=WAIT_SECONDS) or "null"):
                if "begins" in said:
                    current = said
                    continue
                at = said["case"] + 1
                _count(found, said)
                if time.monotonic() > self.ends or ("failure" in said and not self.options.go_on):
                    return at
        except queue.Empty:
            problem = f"no word for {WAIT_SECONDS:.0f} s"
        finally:
            process.kill()
            errors = process.communicate()[1]
        if at < last:
            problem = problem or f"the process ended with {process.returncode}: {errors[-2000:]}"
            _count(found, {"case": current["begins"], "kind": current["kind"], "failure": problem})
            return int(current["begins"]) + 1
        return at


def _build(base: Path) -> None:
    command = [sys.executable, "-c", f"import base; base.build(base.Path({str(base)!r}))"]
    done = subprocess.run(
        command, cwd=HERE, env=_environment(), capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"the sound files could not be made:\n{done.stdout}{done.stderr}")


def _read(stream: Any, lines: queue.SimpleQueue[str]) -> None:
    for line in stream:
        if line.startswith("{"):
            lines.put(line)
    lines.put("")


def _new() -> dict[str, Any]:
    return {"counts": {}, "failures": [], "most_seconds": 0.0, "most_memory": 0}


def _count(found: dict[str, Any], said: dict[str, Any]) -> None:
    counts = found["counts"].setdefault(said["kind"], {})
    name = "failed" if "failure" in said else said["outcome"]
    counts[name] = counts.get(name, 0) + 1
    for what in ("seconds", "memory"):
        found[f"most_{what}"] = max(found[f"most_{what}"], said.get(what, 0))
    if "failure" in said:
        print(f"case {said['case']} ({said['kind']}) failed:\n{said['failure']}", flush=True)
        found["failures"].append(said)


def _merge(state: dict[str, Any], found: dict[str, Any], span: tuple[int, int] | None) -> None:
    for kind, counts in found["counts"].items():
        own = state["counts"].setdefault(kind, {})
        for name, count in counts.items():
            own[name] = own.get(name, 0) + count
    for what in ("most_seconds", "most_memory"):
        state[what] = max(state[what], found[what])
    state["failures"] += found["failures"]
    if span is not None:
        state["done"].append(list(span))


def _environment() -> dict[str, str]:
    path = os.pathsep.join([str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, **_QUIET, "PYTHONPATH": path}


def _open(options: argparse.Namespace) -> dict[str, Any]:
    new = {"seed": options.seed, "done": [], **_new()}
    if options.out and options.out.is_file() and options.only is None:
        found: dict[str, Any] = json.loads(options.out.read_text(encoding="utf-8"))
        if found["seed"] == options.seed:
            return {**new, **found}
    return new


def _save(state: dict[str, Any], options: argparse.Namespace) -> None:
    if options.out:
        aside = options.out.with_suffix(".tmp")
        aside.write_text(json.dumps(_told(state), indent=2) + "\n", encoding="utf-8")
        aside.replace(options.out)


def _told(state: dict[str, Any]) -> dict[str, Any]:
    totals: Counter[str] = Counter()
    for counts in state["counts"].values():
        totals.update(counts)
    return {**state, "cases": sum(totals.values()), "totals": dict(totals)}


def render(told: dict[str, Any]) -> str:
    """The page of what was found; ``RESULTS.md`` is that of ``results.json``."""
    totals = told["totals"]
    lines = [
        "# Fuzzing: what came of mutated files",
        "",
        f"{told['cases']:,} cases of seed {told['seed']}: {totals.get('accepted', 0):,} were "
        f"accepted, {totals.get('refused', 0):,} refused with one of toprung's own errors, "
        f"{totals.get('failed', 0):,} failed. A failure is any other exception, more than 20 s of "
        "processor time, more than 1 GiB over what the process had before, a crash, or a sign that "
        "something in the file was executed. The longest case took "
        f"{told['most_seconds']:.1f} s, and the most memory that a process of 2,500 cases came to "
        f"take over its start was {told['most_memory'] / 2**20:,.0f} MiB.",
        "",
        "| kind | accepted | refused | failed |",
        "| --- | ---: | ---: | ---: |",
    ]
    for kind, counts in sorted(told["counts"].items()):
        cells = [f"{counts.get(name, 0):,}" for name in ("accepted", "refused", "failed")]
        lines.append(f"| {kind} | {' | '.join(cells)} |")
    if told.get("mended"):
        told_of = "What failed in the 100,000 cases of each earlier seed was mended, and is refused"
        lines += ["", f"{told_of} with words when it is run again:", ""]
        lines += [f"- {words}" for words in told["mended"]]
    seed = told["seed"]
    lines += ["", f"`python benchmarks/fuzz/fuzz.py --seed {seed} --out results.json`, in this"]
    lines[-1] += " folder; the page itself: `--render` with the same `--out`."
    return "\n".join(lines)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=4, help="another one makes other cases")
    parser.add_argument("--minutes", type=float, default=1e9, help="stop then; a later run goes on")
    parser.add_argument("--only", type=int, help="run this case alone")
    parser.add_argument("--workers", type=int, default=1, help="processes at a time")
    parser.add_argument("--go-on", action="store_true", help="do not stop at the first failure")
    parser.add_argument("--out", type=Path, help="JSON of what was found; also the place to go on")
    parser.add_argument("--render", action="store_true", help="print the page of --out")
    parser.add_argument("--base", type=Path, help="folder of the sound files; made where absent")
    return parser.parse_args()


if __name__ == "__main__":
    main()
