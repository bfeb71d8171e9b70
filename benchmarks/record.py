"""Keeps a finished search as a small record under results/records/.

Copies what the README promises of a record, with no path of this machine in it.

    python benchmarks/record.py results/intents banking77
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from toprung.core.files import write_text
from toprung.spec.load import load_spec

FILES = ("leaderboard.csv", "metrics.csv", "report.md", "environment.json")
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
    texts["spec.yaml"] = spec.to_yaml(portable=True)
    said = json.loads((options.search / "ensemble" / "ensemble.json").read_text(encoding="utf-8"))
    texts["ensemble.json"] = json.dumps(said, indent=2, sort_keys=True) + "\n"
    for name, text in texts.items():
        plain = text.replace(str(where), options.name) if where else text
        write_text(record / name, plain.replace(str(options.search.resolve()), spec.name))
    print(record)


if __name__ == "__main__":
    main()
