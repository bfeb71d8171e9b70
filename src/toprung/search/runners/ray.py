"""Ray Tune as the runner: the driver decides, Ray places, workers stay resident."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.tune import schedulers
from ray.tune.search import Searcher

from toprung.core.errors import FixEnvironment, Interrupted, ToprungError
from toprung.search.driver import Driver
from toprung.search.runners._base import Runner, Train
from toprung.search.runners._resident import Resident
from toprung.trial.decision import Continue, Failure, FailureKind
from toprung.trial.report import Report

_QUIET = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DEDUP_LOGS": "1",
    # Its memory monitor's kill is an error that ends Tune's loop; the kernel's is a dead worker.
    "RAY_memory_monitor_refresh_ms": "0",
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
            OSError, ToprungError: of the driver, such as a disk that is full.
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
        if bridge.error is not None:
            raise bridge.error
        if driver.interrupted:
            raise Interrupted("the search was interrupted")

    def _connect(self) -> None:
        if ray.is_initialized():
            return
        if (self.address or "").startswith("ray://"):
            raise FixEnvironment(
                f"'{self.address}' is a Ray Client address, and Tune does not run through it. Give "
                f"the head's own address, host:port, or 'auto' on a machine of the cluster."
            )
        # Ray puts its own handler for SIGTERM in the place of the caller's.
        before = signal.getsignal(signal.SIGTERM)
        local: dict[str, Any] = {"num_cpus": os.cpu_count(), "object_store_memory": 1 << 30}
        try:
            ray.init(
                address=self.address or "local",
                include_dashboard=False if self.address is None else None,
                log_to_driver=False,
                logging_level=logging.ERROR,
                **(local if self.address is None else {}),
            )
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise FixEnvironment(
                f"No Ray cluster answers at '{self.address}': {error}. Start one with 'ray start "
                f"--head', or leave --address out to run on this machine. A cluster that asks "
                f"for a token needs RAY_AUTH_MODE=token in the environment, and its "
                f"~/.ray/auth_token."
            ) from None
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)

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


class _Bridge:
    """What the two adapters share: the driver, and which Tune trial works for which of ours."""

    def __init__(self, driver: Driver, slots: int) -> None:
        self.driver = driver
        self.slots = slots
        self.ours: dict[str, str] = {}
        self.error: Exception | None = None
        self.memory_kills = _memory_kills()

    def keep(self, error: Exception) -> None:
        """Keeps the driver's first error for after the loop: Tune would make a text of it."""
        self.error = self.error or error

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
        if self._bridge.error is not None:
            return str(Searcher.FINISHED)
        if len(driver.active) >= self._bridge.slots:
            return None
        try:
            assignment = driver.assign()
        except (OSError, ToprungError) as error:
            self._bridge.keep(error)
            return str(Searcher.FINISHED)
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
        if self._bridge.error is not None:
            return str(self.STOP)
        try:
            goes_on = self._tell(self._bridge.ours[trial.trial_id], json.loads(result["said"]))
        except (OSError, ToprungError) as error:
            self._bridge.keep(error)
            goes_on = False
        return str(self.CONTINUE if goes_on else self.STOP)

    def _tell(self, ours: str, said: dict[str, Any]) -> bool:
        driver = self._bridge.driver
        if "report" in said:
            return isinstance(driver.report(Report.from_json(said["report"])), Continue)
        if "failure" in said:
            driver.fail(ours, Failure(**said["failure"]))
        else:
            driver.leave(ours)
        return False

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        """A worker died: the machine's fault, or the memory guard's."""
        error = trial.get_pickled_error()
        text = str(error or trial.get_error() or "the worker died")
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        message = lines[0] if lines else "the worker died"
        kills = _memory_kills()
        memory = "OutOfMemory" in text or kills > self._bridge.memory_kills
        self._bridge.memory_kills = kills
        kind: FailureKind = "out_of_memory" if memory else "infrastructure"
        if self._bridge.error is not None:
            return
        try:
            self._bridge.driver.fail(
                self._bridge.ours[trial.trial_id], Failure(kind, message[:300])
            )
        except (OSError, ToprungError) as failed:
            self._bridge.keep(failed)


def _memory_kills() -> int:
    """How often this machine's kernel has killed a process for want of memory."""
    try:
        lines = Path("/proc/vmstat").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))
