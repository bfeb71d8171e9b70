"""Ray Tune + ASHAScheduler + Trainer + PEFT, as documented and in the strong form.

    python benchmarks/whole_search/peers/ray_trainer.py --form strong '<order as JSON>'

- ``documented``: as the documentation's examples go: a function that makes everything it needs,
  float32, every text padded to 128 tokens, a callback that calls ``tune.report``;
- ``strong``: ``reuse_actors=True`` with tokens kept in the process from trial to trial, batches
  of like length, bfloat16, ``OptunaSearch``.

Both work through the order's list of configurations, two at a time, one CPU each. Prints one
JSON line: when the driver heard of which score.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable
from typing import Any

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_TRAIN_V2_ENABLED", "0")
os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")

import optuna
import ray
from ray import tune
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.optuna import OptunaSearch
from recipe import Order, be_quiet, one_thread, read_order, since_start, tokenize, train

KEPT: dict[str, Any] = {}


def documented(order: Order) -> Callable[[dict[str, Any]], None]:
    """The function of a trial: everything is made anew."""

    def trial(config: dict[str, Any]) -> None:
        be_quiet()
        one_thread()
        train(order, config, report, strong=False)

    return trial


def strong(order: Order) -> Callable[[dict[str, Any]], None]:
    """The function of a trial in an actor that stays: what can be kept is kept."""

    def trial(config: dict[str, Any]) -> None:
        be_quiet()
        one_thread()
        if "tokens" not in KEPT:
            KEPT["tokens"] = tokenize(order, pad=False)
        train(order, config, report, strong=True, tokens=KEPT["tokens"])

    return trial


def report(examples: int, accuracy: float) -> None:
    """Tells Tune a score."""
    tune.report({"examples": examples, "accuracy": accuracy})


class Heard(tune.Callback):
    """When the driver heard of which score."""

    def __init__(self) -> None:
        self.reports: list[dict[str, Any]] = []

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **_: Any
    ) -> None:
        self.reports.append(
            {
                "seconds": since_start(),
                "trial": trial.trial_id,
                "examples": result["examples"],
                "score": result["accuracy"],
            }
        )


def searched(order: Order, form: str) -> dict[str, Any]:
    """How the configurations reach Tune."""
    names = list(order.trials[0])
    if form == "documented":
        config = tune.grid_search([dict(trial) for trial in order.trials])
        return {"param_space": {"given": config}, "tune": {}}
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    space = {
        "rank": tune.choice(sorted({trial["rank"] for trial in order.trials})),
        "layers": tune.choice(["all", "top_third"]),
        "learning_rate": tune.loguniform(1e-4, 2e-2),
    }
    assert set(space) == set(names)
    points = [dict(trial) for trial in order.trials]
    search = OptunaSearch(
        space, metric="accuracy", mode="max", points_to_evaluate=points, seed=order.seed
    )
    return {"param_space": {}, "tune": {"search_alg": search, "num_samples": len(points)}}


def unwrapped(trial: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, Any]], None]:
    """Takes the configuration out of the grid's key."""

    def call(config: dict[str, Any]) -> None:
        trial(config.get("given", config))

    return call


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--form", choices=("documented", "strong"), required=True)
    parser.add_argument("order", help="as JSON")
    options = parser.parse_args()
    order = read_order(options.order)
    be_quiet()
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        runtime_env={"env_vars": {"PYTHONPATH": os.path.dirname(os.path.abspath(__file__))}},
    )
    heard, how = Heard(), searched(order, options.form)
    trial = unwrapped({"documented": documented, "strong": strong}[options.form](order))
    tuner = tune.Tuner(
        tune.with_resources(trial, {"cpu": 1}),
        param_space=how["param_space"],
        tune_config=tune.TuneConfig(
            metric=None if options.form == "strong" else "accuracy",
            mode=None if options.form == "strong" else "max",
            scheduler=scheduler(order, options.form),
            max_concurrent_trials=2,
            reuse_actors=options.form == "strong",
            **how["tune"],
        ),
        run_config=tune.RunConfig(
            storage_path=order.work, name=options.form, verbose=0, callbacks=[heard]
        ),
    )
    results = tuner.fit()
    seconds = since_start()
    ray.shutdown()
    errors = [str(error)[-2000:] for error in results.errors]
    print(json.dumps({"reports": heard.reports, "seconds": seconds, "errors": errors}))


def scheduler(order: Order, form: str) -> ASHAScheduler:
    """ASHA with the order's rungs."""
    given = {"metric": "accuracy", "mode": "max"} if form == "strong" else {}
    return ASHAScheduler(
        time_attr="examples",
        grace_period=order.rungs[0],
        max_t=order.rungs[-1],
        reduction_factor=3,
        **given,
    )


if __name__ == "__main__":
    main()
