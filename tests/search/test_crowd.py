"""A crowd of workers with every trouble there is: the journal tells one straight story."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks" / "control_plane"
SCRIPT = """
import json, sys
sys.path.insert(0, sys.argv[1])
import load
course = load.run(100, 400, 3.0, load.Troubles(0.1, 0.1, 0.1, 0.01, burst_seconds=0.3))
print(json.dumps({"problems": course.problems, **course.seen}))
"""


@pytest.mark.timeout(120)
def test_bursts_double_late_and_lost_reports_and_deaths_leave_a_straight_journal() -> None:
    command = [sys.executable, "-c", SCRIPT, str(FOLDER)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen.pop("problems") == 0
    assert all(count > 0 for count in seen.values()), seen
