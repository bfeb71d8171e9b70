"""No-op trials through Ray Tune itself: ASHAScheduler, actors reused, loggers off."""

from __future__ import annotations

import shutil
import tempfile
import time
from typing import Any

import ray
from ray import tune
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler
from setting import ETA, SLOTS, Meter, options, quality, quiet


class Noop(tune.Trainable):
    """Reports at once, or sleeps the same time before each report."""

    def setup(self, config: dict[str, Any]) -> None:
        self.x, self.results, self.pause = config["x"], config["results"], config["pause"]

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.setup(new_config)
        return True

    def step(self) -> dict[str, Any]:
        if self.pause:
            time.sleep(self.pause)
        accuracy = quality(self.x, self.iteration + 1)
        return {"accuracy": accuracy, "done": self.iteration + 1 >= self.results}


class Watch(tune.Callback):
    """Tells the meter of results and ends."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter

    def on_trial_result(self, **info: Any) -> None:
        self._meter.result()

    def on_trial_complete(self, **info: Any) -> None:
        self._meter.end()


def main() -> None:
    chosen = options((__doc__ or "").splitlines()[0])
    quiet()
    ray.init(num_cpus=SLOTS, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    scheduler: Any = FIFOScheduler()
    if chosen.scheduler == "asha":
        scheduler = ASHAScheduler(
            time_attr="training_iteration",
            grace_period=1,
            max_t=chosen.results,
            reduction_factor=ETA,
        )
    meter = Meter()
    folder = tempfile.mkdtemp(prefix="noop-")
    space = {
        "x": tune.uniform(0.0, 1.0),
        "results": chosen.results,
        "pause": chosen.sleep / chosen.results,
    }
    tune.Tuner(
        tune.with_resources(Noop, {"cpu": 1}),
        param_space=space,
        tune_config=tune.TuneConfig(
            metric="accuracy",
            mode="max",
            scheduler=scheduler,
            num_samples=chosen.trials,
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(
            storage_path=folder,
            verbose=0,
            callbacks=[Watch(meter)],
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
        ),
    ).fit()
    ray.shutdown()
    shutil.rmtree(folder, ignore_errors=True)
    meter.say()


if __name__ == "__main__":
    main()
