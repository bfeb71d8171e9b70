"""Runs the tests that bring faults about, and records how often each promise held.

    python benchmarks/faults/measure.py --runs 3
    python benchmarks/faults/measure.py --runs 5 --only "disk full, then freed"
    python benchmarks/faults/measure.py --of report.xml    # of pytest tests --junitxml=report.xml

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
from collections.abc import Sequence
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
    parser.add_argument("--of", nargs="*", type=Path, default=[], help="reports of runs of pytest")
    options = parser.parse_args()
    broken = False
    for line in read() if options.of else ():
        if line["test"] and line["fault"] not in SCRIPTS:
            found = _counted(line, [case for report in options.of for case in _cases(report)])
            if found.runs:
                record(found)
                print(f"{found.survived} of {found.runs}: {found.fault}")
            broken |= found.survived < found.runs
    for line in read() if not options.of else ():
        wanted = line["fault"] in options.only if options.only else line["fault"] not in SCRIPTS
        if line["test"].startswith("tests/") and wanted:
            found = _measure(line, options.runs)
            if found.runs:
                record(found)
            broken |= found.survived < found.runs
            print(f"{found.survived} of {found.runs}: {found.fault}", flush=True)
    sys.exit(broken)


def _measure(line: dict[str, Any], runs: int) -> Entry:
    """Runs a line's test so often; each of its parameters is a run of its own."""
    cases: list[Xml.Element] = []
    for _ in range(runs):
        with tempfile.TemporaryDirectory(prefix="toprung-faults-") as folder:
            report = Path(folder) / "report.xml"
            words = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "junit_family=xunit1"]
            words += [f"--junitxml={report}"]
            subprocess.run(
                [sys.executable, *words, line["test"]],
                cwd=ROOT,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
                stdout=subprocess.DEVNULL,
                check=False,
            )
            cases += _cases(report)
    return _counted(line, cases)


def _cases(report: Path) -> list[Xml.Element]:
    """The cases of a run of pytest that were not skipped."""
    cases = Xml.parse(report).getroot().iter("testcase")
    return [case for case in cases if case.find("skipped") is None]


def _counted(line: dict[str, Any], cases: Sequence[Xml.Element]) -> Entry:
    """What the cases say of a line's fault."""
    file, _, name = line["test"].partition("::")
    held: list[bool] = []
    seconds: list[float] = []
    for case in cases:
        where = case.get("classname", "").replace(".", "/") + ".py"
        if where != file or case.get("name", "").partition("[")[0] != name:
            continue
        held.append(case.find("failure") is None and case.find("error") is None)
        found = case.findall("properties/property[@name='recovery_seconds']")
        seconds += [float(one.attrib["value"]) for one in found]
    return Entry(line["fault"], len(held), sum(held), seconds)


if __name__ == "__main__":
    main()
