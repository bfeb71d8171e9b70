"""The simulation of searches on recorded surfaces runs to its table, here on made-up ones."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "surfaces" / "simulate.py"
ARGUMENTS = ("--synthetic", "--seeds", "2", "--workers", "4", "--methods", "^random, (ASHA|all)")


@pytest.mark.skipif(not SCRIPT.is_file(), reason="the benchmarks are not here")
def test_a_table_comes_of_made_up_surfaces(tmp_path: Path) -> None:
    where = ["--out", str(tmp_path), "--work", str(tmp_path)]
    subprocess.run([sys.executable, str(SCRIPT), *ARGUMENTS, *where], check=True)
    found = json.loads((tmp_path / "simulation.json").read_text(encoding="utf-8"))
    regret = {(x["surface"], x["method"]): x["regret_half"]["mean"] for x in found["outcomes"]}
    assert min(regret.values()) >= 0
    assert len(regret) == 2 * 5
    assert "MADE-UP" in (tmp_path / "TABLE.md").read_text(encoding="utf-8")
