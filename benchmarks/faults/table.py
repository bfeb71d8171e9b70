"""TABLE.md from the lines of faults.json, and from nothing else.

Each line of ``faults.json`` is a fault with what is promised, the test that really does it, and
what was measured: ``{fault, promise, test, runs, survived, recovery_median_seconds,
recovery_worst_seconds}``. Only the scripts of this folder write runs into it.

    python benchmarks/faults/table.py           # render
    python benchmarks/faults/table.py --check   # exit code 1 where TABLE.md says otherwise
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
LINES, TABLE = HERE.parent / "faults.json", HERE / "TABLE.md"
KEYS = (
    "fault", "promise", "test", "runs", "survived", "recovery_median_seconds",
    "recovery_worst_seconds",
)  # fmt: skip

_HEAD = """# What happens when things break

Rendered from `../faults.json` by `python benchmarks/faults/table.py`; do not edit.

*Runs* is how often the fault was really brought about and *survived* how often the promise held;
a line that nobody has run says so. Recovery is from the fault to the next report in the journal,
or to the end of the process where the promise is that it ends; seconds, median and worst. Where
one machine is enough the tests are run by `python benchmarks/faults/measure.py`, killing at random
by `kill_random.py`, full disks by `disk_full.py`; lines of nodes and networks are those of
`../clusters/three_nodes.json`.
"""


@dataclass(frozen=True)
class Entry:
    """What was measured of a fault.

    Attributes:
        fault: as in ``faults.json``.
        runs: how often it was brought about.
        survived: how often the promise held.
        seconds: of recovery, where that was taken.
    """

    fault: str
    runs: int
    survived: int
    seconds: Sequence[float] = ()


def read() -> list[dict[str, Any]]:
    """The lines, as they are."""
    lines: list[dict[str, Any]] = json.loads(LINES.read_text(encoding="utf-8"))
    return lines


def record(entry: Entry) -> None:
    """Replaces what was measured of a fault, and renders the table.

    Raises:
        KeyError: there is no such fault.
    """
    lines = read()
    found = {line["fault"]: line for line in lines}[entry.fault]
    found["runs"], found["survived"] = entry.runs, entry.survived
    found["recovery_median_seconds"] = found["recovery_worst_seconds"] = None
    if entry.seconds:
        found["recovery_median_seconds"] = round(statistics.median(entry.seconds), 1)
        found["recovery_worst_seconds"] = round(max(entry.seconds), 1)
    LINES.write_text(json.dumps(lines, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    TABLE.write_text(render(lines), encoding="utf-8")


def render(lines: Sequence[dict[str, Any]]) -> str:
    """The whole page."""
    rows = [
        "| fault | promise | test | survived / runs | recovery: median | worst |",
        "|---|---|---|---|---|---|",
        *(_row(line) for line in lines),
    ]
    ran = [line for line in lines if line["runs"]]
    held = sum(line["survived"] == line["runs"] for line in ran)
    said = f"{len(ran)} of {len(lines)} faults were run; the promise held each time in {held}."
    return "\n".join([_HEAD, said, "", *rows, ""])


def _row(line: dict[str, Any]) -> str:
    test = "–"
    if line["test"]:
        file, _, name = line["test"].partition("::")
        test = f"[`{name}`](../../{file})"
    runs = f"{line['survived']} / {line['runs']}" if line["runs"] else "not run"
    if line["survived"] != line["runs"]:
        runs = f"**{runs}**"
    cells = [line["fault"], line["promise"], test, runs]
    cells += [_seconds(line["recovery_median_seconds"]), _seconds(line["recovery_worst_seconds"])]
    return "| " + " | ".join(cells) + " |"


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def main() -> int:
    """Renders, or says whether there is anything to render."""
    page = render(read())
    if "--check" in sys.argv:
        return int(TABLE.read_text(encoding="utf-8") != page)
    TABLE.write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
