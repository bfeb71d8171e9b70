"""One whole search of toprung on Ray; prints when which score was there, as one JSON line.

    python benchmarks/whole_search/ours.py <folder with search.yaml> 256 768 2304

The shipped defaults, but for two things that the comparison fixes: trials report at the rungs
given and nowhere else, and no baseline is measured.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil

from toprung.api.folder import Folder
from toprung.api.opening import Settings, open_run
from toprung.api.searching import search
from toprung.spec.load import load_spec


def main() -> None:
    root, rungs = Path(sys.argv[1]).resolve(), tuple(int(word) for word in sys.argv[2:])
    began = psutil.Process().create_time()
    reports: list[dict[str, Any]] = []
    failures: list[str] = []

    def hear(event: dict[str, Any]) -> None:
        if event["kind"] == "reported":
            reports.append(
                {
                    "seconds": time.time() - began,
                    "trial": event["trial"],
                    "examples": event["resource"],
                    "score": event["metrics"]["accuracy"],
                }
            )
        if event["kind"] == "failed":
            failures.append(str(event["message"]))

    spec = load_spec(str(root / "search.yaml"))
    spec = replace(spec, resource=replace(spec.resource, points=rungs))
    with open_run(spec, Folder(root / "results" / "search"), Settings(watchers=(hear,))) as run:
        search(run)
    seconds = time.time() - began
    print(json.dumps({"reports": reports, "seconds": seconds, "errors": failures}), flush=True)
    # Ray's processes end with this one; nobody waits for its farewell.
    os._exit(0)


if __name__ == "__main__":
    main()
