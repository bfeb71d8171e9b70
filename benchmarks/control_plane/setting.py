"""What both sides of the control-plane benchmarks do: trials that train nothing."""

from __future__ import annotations

import argparse
import json
import math
import os
import time

SLOTS = 2
ETA = 3


def options(description: str) -> argparse.Namespace:
    """The options of a contestant."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--trials", type=int, required=True)
    parser.add_argument("--results", type=int, required=True, help="of a trial that is not stopped")
    parser.add_argument("--scheduler", choices=("fifo", "asha"), required=True)
    parser.add_argument("--sleep", type=float, default=0.0, help="seconds of a whole trial")
    return parser.parse_args()


def quality(x: float, result: int) -> float:
    """The accuracy of a trial at one of its results: rises, and curves cross."""
    bend = math.sin(1e4 * x)
    return 0.5 + 0.4 * x * (1 - math.exp(-(1.5 + bend) * result / 9))


def quiet() -> None:
    """Environment that both sides share."""
    os.environ.update(
        RAY_USAGE_STATS_ENABLED="0",
        RAY_TRAIN_V2_ENABLED="0",
        RAY_AIR_NEW_OUTPUT="0",
        TUNE_DISABLE_AUTO_CALLBACK_LOGGERS="1",
        OMP_NUM_THREADS="1",
    )


class Meter:
    """Notes when results come and trials end, after both workers are at work."""

    def __init__(self) -> None:
        self.began = time.perf_counter()
        self.first = math.inf
        self.last = 0.0
        self.results = 0
        self.ends = 0

    def result(self) -> None:
        """A result has come."""
        self.last = time.perf_counter()
        self.first = min(self.first, self.last)
        self.results += 1

    def end(self) -> None:
        """A trial is over."""
        self.ends += 1

    def say(self) -> None:
        """Prints what was measured as the last line."""
        busy = self.last - self.first
        said = {
            "results": self.results,
            "trials": self.ends,
            "trials_per_second": self.ends / busy,
            "results_per_second": self.results / busy,
            "steady_seconds": busy,
            "start_seconds": self.first - self.began,
        }
        print(json.dumps(said))
