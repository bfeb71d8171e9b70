"""A search on a local Ray one of whose trials fails with the environment's tokens in its error.

python leaky_search.py SPEC RESULTS RUNNER
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator

from toprung.api import Search, training
from toprung.api.opening import Settings
from toprung.learn.trainer import Trainer
from toprung.trial.config import Assignment
from toprung.trial.report import Report

NAMES = ("HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "MY_PASSWORD", "SOME_API_KEY", "DEPLOY_SECRET")


class Leaky(Trainer):
    """Trains as any, but the second trial fails as a client of some service would."""

    def __call__(self, assignment: Assignment) -> Iterator[Report]:
        if assignment.config.trial == "t0002":
            told = "\n".join(os.environ[name] for name in NAMES)
            raise RuntimeError(f"401 for {' '.join(os.environ[name] for name in NAMES)}\n{told}")
        if assignment.config.trial == "t0003":
            raise ConnectionError(f"https://x:{os.environ['HF_TOKEN']}@example.org timed out")
        yield from super().__call__(assignment)
        time.sleep(1.0)


def main() -> None:
    """Runs the search."""
    spec, results, runner = sys.argv[1:]
    training.Trainer = Leaky  # type: ignore[misc]
    Search(spec, settings=Settings(runner=runner, results=results)).fit()


if __name__ == "__main__":
    # Workers import the class by its module, which must not be __main__.
    import leaky_search

    leaky_search.main()
