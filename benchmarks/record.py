"""Keeps a finished search as a small record under results/records/.

Copies what the README promises of a record, with no path of this machine in it and no row of the
data, whose licence may forbid it.

    python benchmarks/record.py results/intents banking77
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from toprung.core.files import write_text
from toprung.spec.load import load_spec

FILES = ("leaderboard.csv", "metrics.csv", "report.md", "environment.json")
LEFT_OUT = "*Rows of the data are left out of records.*"
RECORDS = Path(__file__).parents[1] / "results" / "records"


def main() -> None:
    """Writes the record's folder and prints it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("search", type=Path, help="results folder of a finished search")
    parser.add_argument("name", help="of the data set, and of the record's folder")
    options = parser.parse_args()
    spec = load_spec(str(options.search / "spec.yaml"))
    where = spec.data.path or spec.data.train
    record = RECORDS / options.name
    texts = {name: (options.search / name).read_text(encoding="utf-8") for name in FILES}
    texts["report.md"] = without_rows(texts["report.md"])
    texts["spec.yaml"] = spec.to_yaml(portable=True)
    said = json.loads((options.search / "ensemble" / "ensemble.json").read_text(encoding="utf-8"))
    texts["ensemble.json"] = json.dumps(said, indent=2, sort_keys=True) + "\n"
    for name, text in texts.items():
        plain = text.replace(str(where), options.name) if where else text
        write_text(record / name, plain.replace(str(options.search.resolve()), spec.name))
    print(record)


def without_rows(report: str) -> str:
    """A report without the tables and quotations that show rows of the data.

    >>> print(without_rows("## Errors\\n\\n| text | actual |\\n| --- | --- |\\n| x | a |\\n\\nEnd"))
    ## Errors
    <BLANKLINE>
    *Rows of the data are left out of records.*
    <BLANKLINE>
    End
    >>> print(without_rows("#### Row 7 of the test split\\n\\n> x\\n- reference: y\\n\\n## Next"))
    *Rows of the data are left out of records.*
    <BLANKLINE>
    ## Next
    """
    kept: list[str] = []
    table, quotation = False, False
    for line in report.split("\n"):
        table = line.startswith("| text |") or (table and line.startswith("|"))
        begins = line.startswith("#### Row ")
        quotation = begins or (quotation and not line.startswith("#"))
        if begins or line.startswith("| text |"):
            kept += [LEFT_OUT, ""] if begins else [LEFT_OUT]
        elif not (table or quotation):
            kept.append(line)
    return "\n".join(kept)


if __name__ == "__main__":
    main()
