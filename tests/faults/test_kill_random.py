"""The script that kills at random, at its smallest: drivers of searches without Ray."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "faults" / "kill_random.py"


def test_short_searches_whose_drivers_are_killed_end_like_their_undisturbed_twins() -> None:
    words = ["--kills", "8", "--runner", "inline", "--victims", "driver", "--dry"]
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    said = json.loads(done.stdout)
    assert (said["kills"], said["driver"]) == (8, 8)
    assert said["problems"] == []
