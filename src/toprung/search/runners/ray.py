"""Ray Tune as the runner: the driver decides, Ray places, workers stay resident."""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import ray
from ray import tune
from ray.tune import schedulers
from ray.tune.search import Searcher

from toprung.core.errors import FixEnvironment, Interrupted
from toprung.search.driver import Driver
from toprung.search.runners._base import Runner, Train, classify
from toprung.trial.config import Assignment, TrialConfig
from toprung.trial.decision import Continue, Failure, FailureKind
from toprung.trial.report import Report

_QUIET = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DEDUP_LOGS": "1",
    "RAY_TRAIN_V2_ENABLED": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "86400",
    "TUNE_RESULT_BUFFER_LENGTH": "1",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}


@dataclass(frozen=True)
class Ray(Runner):
    """Runs trials in resident workers of a local Ray or of a cluster.

    Every assignment, also a promotion, is one Tune trial: it ends at its pause, and its worker
    takes the next. So no Tune trial is ever paused, and the checkpoints are ours alone.

    Attributes:
        address: of a running cluster, as ``ray.init`` takes it; None starts a local Ray.
        cpus: per trial; also the threads of its worker.
        gpus: per trial; a fraction shares a GPU.
    """

    address: str | None = None
    cpus: int = 1
    gpus: float = 0.0

    def run(self, driver: Driver, train: Train) -> None:
        """Works through the driver's assignments inside ``ray.tune.Tuner``.

        Raises:
            FixEnvironment: no cluster at the address, or no node is large enough for a trial.
            Interrupted: the driver was interrupted.
        """
        os.environ.update(_QUIET)
        # Tune prints each worker's death as a traceback; the driver tells it in one line.
        logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
        self._connect()
        bridge = _Bridge(driver, self._slots())
        os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(bridge.slots)
        # Tune pickles its own state there; nobody reads it, and nobody else may.
        scratch = tempfile.mkdtemp(prefix="toprung-tune-")
        worker = tune.with_parameters(Resident, train=train)
        try:
            tune.Tuner(
                tune.with_resources(worker, {"cpu": self.cpus, "gpu": self.gpus}),
                tune_config=tune.TuneConfig(
                    search_alg=_Assignments(bridge),
                    scheduler=_Decisions(bridge),
                    num_samples=-1,
                    reuse_actors=True,
                ),
                run_config=tune.RunConfig(
                    storage_path=scratch,
                    name="search",
                    verbose=0,
                    callbacks=[],
                    checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                    failure_config=tune.FailureConfig(max_failures=0),
                ),
            ).fit()
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        if driver.interrupted:
            raise Interrupted("the search was interrupted")

    def _connect(self) -> None:
        if ray.is_initialized():
            return
        local: dict[str, Any] = {"num_cpus": os.cpu_count(), "object_store_memory": 1 << 30}
        try:
            ray.init(
                address=self.address or "local",
                include_dashboard=False if self.address is None else None,
                log_to_driver=False,
                logging_level=logging.ERROR,
                **(local if self.address is None else {}),
            )
        except ConnectionError as error:
            raise FixEnvironment(
                f"No Ray cluster answers at '{self.address}': {error}. Start one with 'ray start "
                f"--head', or leave --address out to run on this machine."
            ) from None

    def _slots(self) -> int:
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        slots = sum(self._trials_on(node) for node in nodes)
        if slots == 0:
            largest = max(nodes, key=lambda node: node.get("CPU", 0.0))
            has = f"{largest.get('CPU', 0):g} CPUs and {largest.get('GPU', 0):g} GPUs"
            raise FixEnvironment(
                f"A trial asks for {self.cpus} CPUs and {self.gpus:g} GPUs, but the largest node "
                f"has {has}. Lower trial.cpus or trial.gpus, or join a larger node."
            )
        return slots

    def _trials_on(self, node: Mapping[str, float]) -> int:
        slots = int(node.get("CPU", 0.0) // self.cpus)
        if self.gpus:
            gpus = node.get("GPU", 0.0)
            per_gpu = int(1 / self.gpus) if self.gpus <= 1 else 0
            slots = min(slots, int(gpus) * per_gpu if per_gpu else int(gpus // self.gpus))
        return slots


class Resident(tune.Trainable):
    """A worker that keeps its process, and all that is loaded in it, from trial to trial."""

    _reports: Iterator[Report] | None = None

    def setup(self, config: dict[str, Any], train: Train | None = None) -> None:
        """Begins the first assignment of this process."""
        self._train = train
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begins another assignment in the same process."""
        self._close()
        self._begin(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Trains to the next report; a failure is a result too, so that the worker lives on."""
        try:
            assert self._reports is not None
            return _result(report=next(self._reports).to_json())
        except Interrupted:
            return _result(interrupted=True)
        except StopIteration:
            failure = Failure("metric_missing", "the trial ended before its last rung")
        # A trial is user code: whatever it raises becomes a class and a line, not a crash.
        except Exception as error:
            failure = classify(error)
        self._close()
        return _result(failure={"kind": failure.kind, "message": failure.message})

    def cleanup(self) -> None:
        """Closes the trial that this process was at."""
        self._close()

    def _begin(self, config: Mapping[str, Any]) -> None:
        order = json.loads(config["assignment"])
        assert self._train is not None
        self._reports = self._train(
            Assignment(TrialConfig(**order.pop("config")), **order),
        )

    def _close(self) -> None:
        close = getattr(self._reports, "close", None)
        self._reports = None
        if close is not None:
            close()


def _result(**said: Any) -> dict[str, Any]:
    """A Tune result with our words in one JSON text: Tune would flatten nested ones."""
    return {"said": json.dumps(said)}


class _Bridge:
    """What the two adapters share: the driver, and which Tune trial works for which of ours."""

    def __init__(self, driver: Driver, slots: int) -> None:
        self.driver = driver
        self.slots = slots
        self.ours: dict[str, str] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles its searcher and scheduler, and the journal is our state."""
        return {}


class _Assignments(Searcher):
    """Tune asks for a trial; the driver assigns one when a slot is free."""

    def __init__(self, bridge: _Bridge) -> None:
        super().__init__()
        self._bridge = bridge

    def suggest(self, trial_id: str) -> Any:
        driver = self._bridge.driver
        if len(driver.active) >= self._bridge.slots:
            return None
        assignment = driver.assign()
        if assignment is None:
            return None if driver.active else str(Searcher.FINISHED)
        self._bridge.ours[trial_id] = assignment.config.trial
        config = assignment.config
        order = {
            "config": {"trial": config.trial, "values": dict(config.values), "seed": config.seed},
            "start": assignment.start,
            "attempt": assignment.attempt,
            "shrink": assignment.shrink,
        }
        return {"assignment": json.dumps(order)}

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Nothing: results reach the driver through the scheduler."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the journal is the state."""

    def restore(self, checkpoint_path: str) -> None:
        raise NotImplementedError("resume replays the journal instead")


class _Decisions(schedulers.FIFOScheduler):
    """Tune hands over results and failures; the driver decides."""

    def __init__(self, bridge: _Bridge) -> None:
        super().__init__()
        self._bridge = bridge

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        driver, ours = self._bridge.driver, self._bridge.ours[trial.trial_id]
        said = json.loads(result["said"])
        if "report" in said:
            decision = driver.report(Report.from_json(said["report"]))
            return str(self.CONTINUE if isinstance(decision, Continue) else self.STOP)
        if "failure" in said:
            driver.fail(ours, Failure(**said["failure"]))
        else:
            driver.leave(ours)
        return str(self.STOP)

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        """A worker died: the machine's fault, or the memory guard's."""
        error = trial.get_pickled_error()
        text = str(error or trial.get_error() or "the worker died")
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        message = lines[0] if lines else "the worker died"
        memory = "OutOfMemory" in type(error).__name__ or "OutOfMemory" in text
        kind: FailureKind = "out_of_memory" if memory else "infrastructure"
        self._bridge.driver.fail(self._bridge.ours[trial.trial_id], Failure(kind, message[:300]))
