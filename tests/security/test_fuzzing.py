"""The small form of benchmarks/fuzz: some hundred mutated files, and nothing but our own errors."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

FUZZ = Path(__file__).parents[2] / "benchmarks" / "fuzz" / "fuzz.py"


def run(*words: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(filter(None, sys.path))
    return subprocess.run(
        [sys.executable, str(FUZZ), *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": path},
    )


def test_mutated_files_are_accepted_or_refused_with_words(sound: Path, tmp_path: Path) -> None:
    out = tmp_path / "found.json"
    done = run("--cases", "300", "--seed", "11", "--base", str(sound), "--out", str(out))
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(out.read_text(encoding="utf-8"))
    assert found["cases"] == 300
    assert found["failures"] == []
    assert len(found["counts"]) == 13
    assert found["totals"]["refused"] > 100
    assert found["totals"]["accepted"] > 10
    # It goes on where it stopped: there is nothing left to do.
    again = run("--cases", "300", "--seed", "11", "--base", str(sound), "--out", str(out))
    assert json.loads(again.stdout)["cases"] == 300


def test_the_page_of_results_is_that_of_the_record() -> None:
    done = run("--render", "--out", str(FUZZ.with_name("results.json")))
    assert done.stdout == FUZZ.with_name("RESULTS.md").read_text(encoding="utf-8")
