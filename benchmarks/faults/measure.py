"""Runs the tests that bring faults about, and records how often each promise held.

    python benchmarks/faults/measure.py --runs 3
    python benchmarks/faults/measure.py --runs 5 --only "disk full, then freed"

A test that is skipped, for want of root or of a tool, is not a run. What a test gives as
``recovery_seconds`` is the time of recovery. Lines that a script of their own measures (killing at
random, full disks) keep what that has recorded.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as Xml
from pathlib import Path
from typing import Any

from table import Entry, read, record

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ("driver killed", "worker killed", "disk full, then freed")
"""Faults that a script measures; as tests they are run where they are named."""


def main() -> None:
    """Runs what is asked for; exit code 1 where a promise did not hold."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=[], help="faults, as the table names them")
    options = parser.parse_args()
    broken = False
    for line in read():
        wanted = line["fault"] in options.only if options.only else line["fault"] not in SCRIPTS
        if line["test"] and wanted:
            found = _measure(line, options.runs)
            if found.runs:
                record(found)
            broken |= found.survived < found.runs
            print(f"{found.survived} of {found.runs}: {found.fault}", flush=True)
    sys.exit(broken)


def _measure(line: dict[str, Any], runs: int) -> Entry:
    """Runs a line's test so often; each of its parameters is a run of its own."""
    held: list[bool] = []
    seconds: list[float] = []
    for _ in range(runs):
        with tempfile.TemporaryDirectory(prefix="toprung-faults-") as folder:
            report = Path(folder) / "report.xml"
            words = ["-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}"]
            environment = {**os.environ, "OMP_NUM_THREADS": "1"}
            subprocess.run(
                [sys.executable, *words, line["test"]],
                cwd=ROOT,
                env=environment,
                stdout=subprocess.DEVNULL,
                check=False,
            )
            for case in Xml.parse(report).getroot().iter("testcase"):
                if case.find("skipped") is not None:
                    continue
                held.append(case.find("failure") is None and case.find("error") is None)
                found = case.findall("properties/property[@name='recovery_seconds']")
                seconds += [float(one.attrib["value"]) for one in found]
    return Entry(line["fault"], len(held), sum(held), seconds)


if __name__ == "__main__":
    main()
