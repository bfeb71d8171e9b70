"""Optuna (TPE, Hyperband's pruner) + Trainer + PEFT in its strong form, for a given time.

    python benchmarks/whole_search/peers/optuna_trainer.py '<order as JSON>'

Two processes with one study between them, one CPU each, tokens kept from trial to trial, batches
of like length, bfloat16. The space is that of the order's list; the sampler is free in it. Ends
when the order's seconds are over. Prints one JSON line: when which score was there.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import optuna
from optuna.pruners import HyperbandPruner
from optuna.samplers import TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from recipe import Order, be_quiet, one_thread, read_order, since_start, tokenize, train


def open_study(order: Order, worker: int) -> optuna.Study:
    """The study that both processes work at."""
    storage = JournalStorage(JournalFileBackend(str(Path(order.work) / "study.log")))
    return optuna.create_study(
        storage=storage,
        study_name="search",
        load_if_exists=True,
        direction="maximize",
        sampler=TPESampler(seed=order.seed + worker, group=True, constant_liar=True),
        pruner=HyperbandPruner(order.rungs[0], order.rungs[-1], reduction_factor=3),
    )


def work(order: Order, worker: int, began: float) -> None:
    """Trains trials until it is ended from outside."""
    be_quiet()
    one_thread()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    tokens = tokenize(order, pad=False)
    told = Path(order.work) / f"told-{worker}.jsonl"
    ranks = sorted({trial["rank"] for trial in order.trials})

    def objective(trial: optuna.Trial) -> float:
        config = {
            "rank": trial.suggest_categorical("rank", ranks),
            "layers": trial.suggest_categorical("layers", ["all", "top_third"]),
            "learning_rate": trial.suggest_float("learning_rate", 1e-4, 2e-2, log=True),
        }
        last = 0.0

        def tell(examples: int, accuracy: float) -> None:
            nonlocal last
            last = accuracy
            said = {"trial": str(trial.number), "examples": examples, "score": accuracy}
            with told.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"seconds": began + since_start(), **said}) + "\n")
            trial.report(accuracy, examples)
            if examples < order.rungs[-1] and trial.should_prune():
                raise optuna.TrialPruned

        train(order, config, tell, strong=True, tokens=tokens)
        return last

    open_study(order, worker).optimize(objective, n_trials=None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("order", help="as JSON")
    parser.add_argument("--worker", type=int, default=0)
    parser.add_argument("--began", type=float, default=0.0, help="seconds before this process")
    options = parser.parse_args()
    order = read_order(options.order)
    if options.worker:
        return work(order, options.worker, options.began)
    assert order.seconds is not None
    began = since_start()
    command = [sys.executable, __file__, options.order, "--worker", "1", "--began", str(began)]
    other = subprocess.Popen(command)
    threading.Timer(max(0.0, order.seconds - since_start()), end, [order, other]).start()
    work(order, 0, 0.0)


def end(order: Order, other: subprocess.Popen[bytes]) -> None:
    """Time is up: says what there is, and ends both processes."""
    other.kill()
    reports: list[dict[str, Any]] = []
    for path in Path(order.work).glob("told-*.jsonl"):
        reports += [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    reports = [report for report in reports if report["seconds"] <= order.seconds]
    reports.sort(key=lambda report: report["seconds"])
    print(json.dumps({"reports": reports, "seconds": order.seconds, "errors": []}), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
