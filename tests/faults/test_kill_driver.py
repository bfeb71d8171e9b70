"""SIGKILL for the driver of a real search on Ray: it ends as if nobody had."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "faults" / "kill_driver.py"


@pytest.mark.timeout(600)
def test_a_search_whose_driver_is_killed_ends_like_its_undisturbed_twin() -> None:
    command = [sys.executable, str(SCRIPT), "--kills", "1", "--reports", "2", "--trials", "3"]
    command += ["--examples", "32", "--twin", "inline"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    record = json.loads(done.stdout)
    assert record["kills_in_training"] == 1
    assert record["differences"] == []
    assert record["reports_given_twice"] == 0
