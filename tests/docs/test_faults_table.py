"""The table of faults says what was run, and names tests that exist."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINES = json.loads((ROOT / "benchmarks" / "faults.json").read_text(encoding="utf-8"))
KEYS = [
    "fault", "promise", "test", "runs", "survived", "recovery_median_seconds",
    "recovery_worst_seconds",
]  # fmt: skip


def test_the_table_of_faults_is_the_one_that_its_lines_give() -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "faults" / "table.py"), "--check"]
    assert subprocess.run(command, check=False).returncode == 0


def test_each_fault_has_one_line_with_all_that_is_promised_of_a_line() -> None:
    assert all(list(line) == KEYS for line in LINES)
    faults = [line["fault"] for line in LINES]
    assert len(set(faults)) == len(faults)
    assert all(line["promise"] for line in LINES)


@pytest.mark.parametrize("line", LINES, ids=lambda line: line["fault"])
def test_nothing_counts_that_was_not_run_and_every_named_test_exists(line) -> None:
    assert 0 <= line["survived"] <= line["runs"]
    seconds = (line["recovery_median_seconds"], line["recovery_worst_seconds"])
    if not line["runs"]:
        assert seconds == (None, None)
    if seconds[0] is not None:
        assert 0 <= seconds[0] <= seconds[1]
    if line["test"] is not None:
        file, _, name = line["test"].partition("::")
        assert f"def {name}(" in (ROOT / file).read_text(encoding="utf-8")


def test_the_readme_leads_to_the_table() -> None:
    assert "benchmarks/faults/TABLE.md" in (ROOT / "README.md").read_text(encoding="utf-8")
