"""Runs every benchmark in turn, then renders RESULTS.md.

    python benchmarks/run.py                 # everything; hours
    python benchmarks/run.py --quick         # smallest sizes, within 5 minutes, nothing recorded
    python benchmarks/run.py training memory # those of some folders

One that fails does not stop the others; the exit code counts the failed.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from harness import SCRATCH, load, render, say
from rendering import render as render_text

HERE = Path(__file__).resolve().parent
# In the order of the time that they take; those without a quick form are left out of --quick.
SCRIPTS = (
    "schedulers/compare_rules.py",
    "control_plane/rungs.py",
    "control_plane/load.py",
    "control_plane/ray_noop.py",
    "training/exactness.py",
    "prediction/ensemble_of_5.py",
    "memory/memory.py",
    "training/lora.py",
    "training/equal_scores.py",
    "training/restriction.py",
    "training/stacked.py",
    "surfaces/simulate.py",
    "whole_search/compare.py",
)
NOT_QUICK = (
    "schedulers/compare_rules.py",
    "training/restriction.py",
    "training/stacked.py",
    "whole_search/compare.py",  # one whole search of each side is a third of the time
)
# What a script needs to leave the recorded files alone.
QUICK_WORDS = {"surfaces/simulate.py": ["--out", "results/bench-quick-surfaces"]}
QUICK_SECONDS = 295.0


def run(script: str, quick: bool, timeout_seconds: float | None) -> bool:
    """Runs one script; whether it ended well and in time."""
    words = ["--quick", *QUICK_WORDS.get(script, [])] if quick else []
    command = [sys.executable, str(HERE / script), *words]
    say(f"== {script}")
    began = time.perf_counter()
    process = subprocess.Popen(command, cwd=HERE.parent, start_new_session=True)
    try:
        code = process.wait(timeout_seconds)
    except BaseException as error:  # whatever ends this, nothing goes on without it
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if not isinstance(error, subprocess.TimeoutExpired):
            raise
        code = -1
    how = "done" if code == 0 else "took too long" if code == -1 else f"FAILED ({code})"
    say(f"== {script}: {how} after {time.perf_counter() - began:.0f} s")
    return code == 0


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folders", nargs="*", help="of benchmarks; all of them if none is named")
    parser.add_argument("--quick", action="store_true", help="smallest sizes; prints, keeps none")
    options = parser.parse_args()
    wanted = [s for s in SCRIPTS if not options.folders or s.partition("/")[0] in options.folders]
    ends = time.perf_counter() + QUICK_SECONDS
    if options.quick:
        wanted = [script for script in wanted if script not in NOT_QUICK]
        SCRATCH.unlink(missing_ok=True)
    failed = []
    for script in wanted:
        left = max(1.0, ends - time.perf_counter()) if options.quick else None
        if not run(script, options.quick, left):
            failed.append(script)
    if options.quick:
        print(render_text(load(SCRATCH)))
    else:
        render()
    if failed:
        say(f"{len(failed)} of {len(wanted)} failed: {', '.join(failed)}")
    return min(len(failed), 100)


if __name__ == "__main__":
    sys.exit(main())
