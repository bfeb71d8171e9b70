"""The tables of clusters/README.md and the nodes' lines of faults.json, from what was recorded.

python benchmarks/clusters/tables.py            # writes them
python benchmarks/clusters/tables.py --check    # exit code 1 where they are others
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RAY_SECONDS = {"node killed": 13.9, "node hung, then continued": 63.8, "network cut for good": 62.6}
"""What Ray 2.60 with its defaults takes to notice, measured before."""
README = HERE.parents[1] / "clusters" / "README.md"
FAULTS = HERE.parent / "faults.json"


def fair_table(said: dict[str, Any]) -> str:
    """Shares of searches that ran at once."""
    lines = ["| priority | fair share | share had | trials at a time |", "|---|---|---|---|"]
    for search in said["searches"]:
        lines.append(
            f"| {search['priority']:g} | {search['fair_share']:.1%} | {search['share']:.1%} "
            f"| {search['trials_at_a_time']:.2f} |"
        )
    told = f"Three searches on {said['cpus']} CPUs for {said['seconds']:.0f} s; {said['used']:.0%} "
    return "\n".join([*lines, "", f"{told}of the cluster was at work."])


def node_table(entries: list[dict[str, Any]]) -> str:
    """What became of a search when a node went."""
    lines = [
        "| fault | promise | runs | survived | recovery: median, worst | Ray alone notices after |",
        "|---|---|---|---|---|---|",
    ]
    for entry in entries:
        ray = RAY_SECONDS.get(entry["fault"])
        times = f"{entry['recovery_median_seconds']} s, {entry['recovery_worst_seconds']} s"
        lines.append(
            f"| {entry['fault']} | {entry['promise']} | {entry['runs']} | {entry['survived']} "
            f"| {times} | {'–' if ray is None else f'{ray} s'} |"
        )
    runs = (HERE / "three_nodes_runs.jsonl").read_text().splitlines()
    late = sum(json.loads(line)["late"] for line in runs)
    told = f"Steps of nodes whose trials others had taken over, all refused: {late}."
    return "\n".join([*lines, "", told])


def rendered(text: str) -> str:
    """The page with the tables of the records."""
    for name, file, render in (
        ("fair", HERE / "fair_shares.json", fair_table),
        ("nodes", HERE / "three_nodes.json", node_table),
    ):
        table = render(json.loads(file.read_text())) if file.exists() else "Not measured yet."
        begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
        before, _, rest = text.partition(begin)
        text = f"{before}{begin}\n{table}\n{end}{rest.partition(end)[2]}"
    return text


def faults(text: str) -> str:
    """The lines of faults.json, those of nodes as they were recorded."""
    nodes = {entry["fault"]: entry for entry in json.loads((HERE / "three_nodes.json").read_text())}
    lines = [nodes.get(line["fault"], line) for line in json.loads(text)]
    return json.dumps(lines, indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    pages = {README: rendered, FAULTS: faults}
    texts = {path: path.read_text(encoding="utf-8") for path in pages}
    if "--check" in sys.argv:
        sys.exit(any(pages[path](text) != text for path, text in texts.items()))
    for path, text in texts.items():
        path.write_text(pages[path](text), encoding="utf-8")
    subprocess.run([sys.executable, str(HERE.parent / "faults" / "table.py")], check=True)


if __name__ == "__main__":
    main()
