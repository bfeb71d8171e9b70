"""A search on Ray with so many workers; prints the memory of workers and node, as JSON.

    python benchmarks/memory/node.py --data ../shared/data/banking77 --workers 2

PSS counts a page that n processes share as 1/n in each, so that the sum over processes is what
the node really holds. Run by ``memory.py``.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import threading
from pathlib import Path
from typing import Any

import psutil
import ray
import yaml

from toprung.api.folder import Folder
from toprung.api.opening import Settings, open_run
from toprung.api.searching import search
from toprung.spec.load import load_spec

SEED = 7


class Watch:
    """The memory of this process's descendants, looked at twice a second."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self.worker_rss = self.worker_pss = self.node_pss = self.driver_pss = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look_on, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look_on(self) -> None:
        while not self._over.wait(0.5):
            self._look()

    def _look(self) -> None:
        me = psutil.Process()
        found = []
        for process in me.children(recursive=True):
            try:
                memory = process.memory_full_info()
            except psutil.Error:
                continue
            found.append((memory.rss, memory.pss))
        driver = me.memory_full_info().pss
        # The workers are the largest: Ray's own processes hold tens of megabytes each.
        for rss, pss in sorted(found)[-self.workers :]:
            self.worker_rss, self.worker_pss = max(self.worker_rss, rss), max(self.worker_pss, pss)
        self.driver_pss = max(self.driver_pss, driver)
        self.node_pss = max(self.node_pss, driver + sum(pss for _, pss in found))

    def said(self) -> dict[str, float]:
        names = ("worker_rss", "worker_pss", "driver_pss", "node_pss")
        return {name: getattr(self, name) / 2**20 for name in names}


def spec(data: Path, examples: int, trials: int) -> dict[str, Any]:
    """A search over everything that changes how much memory a trial takes."""
    return {
        "name": "memory",
        "task": "single_label",
        "data": {"path": str(data.resolve()), "leaks": "warn", "train_rows": 2000},
        "space": {
            "backbone": {"minilm": {"depth": [4, 6]}},
            "adapter": {
                "full": {},
                "frozen": {},
                "lora": {"rank": [4, 16, 64], "layers": ["all", "top_half", "top_third"]},
            },
            "pooling": ["cls", "mean", "mean_max", "attention"],
            "head": ["linear", "mlp"],
            "learning_rate": {"float": [1e-4, 2e-3], "log": True},
            "batch_size": [16, 32, 64],
            "max_length": [48, 128],
        },
        "metric": "accuracy",
        "searcher": "random",
        "resource": {"unit": "examples", "min": examples // 9, "max": examples},
        "budget": {"trials": trials},
        "baselines": [],
        "seed": SEED,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of one data set")
    parser.add_argument("--workers", type=int, required=True)
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--examples", type=int, default=1152)
    options = parser.parse_args()
    ray.init(num_cpus=options.workers, include_dashboard=False, log_to_driver=False)
    with tempfile.TemporaryDirectory(prefix="toprung-memory-") as root:
        path = Path(root) / "memory.yaml"
        path.write_text(
            yaml.safe_dump(spec(options.data, options.examples, options.trials)), encoding="utf-8"
        )
        folder = Folder(Path(root) / "results" / "memory")
        with Watch(options.workers) as watch, open_run(load_spec(path), folder, Settings()) as run:
            search(run)
    ray.shutdown()
    print(json.dumps(watch.said()), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
