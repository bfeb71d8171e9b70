"""Ray Tune as the runner: the driver decides, Ray places, workers stay resident."""

from __future__ import annotations

import logging
import os
import signal
import tempfile
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray._private import ray_constants
from ray.tune.search import Searcher

from toprung.core.errors import FixEnvironment, GiveUp, Interrupted
from toprung.core.secrets import redact
from toprung.search.driver import Driver
from toprung.search.runners._base import Runner, Train
from toprung.search.runners._desk import Desk
from toprung.search.runners._resident import HANDLE, Resident
from toprung.search.runners._token import guard_token
from toprung.search.runners._worker import Manners
from toprung.trial.decision import Failure

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

    A Tune trial is a worker, not a trial of ours: Tune finds it a place and watches over it, and
    it works through one assignment after another, which it gets straight from the driver. So no
    Tune trial is ever paused, and a result costs one call of an actor.

    Attributes:
        address: of a running cluster, as ``ray.init`` takes it; None starts a local Ray.
        cpus: per trial; also the threads of its worker.
        gpus: per trial; a fraction shares a GPU.
    """

    address: str | None = None
    cpus: int = 1
    gpus: float = 0.0

    def run(self, driver: Driver, train: Train) -> None:
        """Works through the driver's assignments with workers that ``ray.tune.Tuner`` places.

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
        # Tune pickles its own state there; nobody reads it, and nobody else may.
        with tempfile.TemporaryDirectory(
            prefix="toprung-tune-", ignore_cleanup_errors=True
        ) as scratch:
            tuner = self._tuner(bridge, train, scratch)
            placing = threading.Thread(target=bridge.place, args=(tuner,), daemon=True)
            placing.start()
            try:
                bridge.desk.serve()
            finally:
                bridge.close()
                placing.join()
        if driver.interrupted:
            raise Interrupted("the search was interrupted")

    def _tuner(self, bridge: _Bridge, train: Train, scratch: str) -> tune.Tuner:
        os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(bridge.slots)
        worker = tune.with_parameters(Resident, train=train, manners=bridge.manners)
        return tune.Tuner(
            tune.with_resources(worker, {"cpu": self.cpus, "gpu": self.gpus}),
            tune_config=tune.TuneConfig(search_alg=_Slots(bridge), num_samples=-1),
            run_config=tune.RunConfig(
                storage_path=scratch,
                name="search",
                verbose=0,
                callbacks=[_Door(bridge)],
                stop=_End(bridge),
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                failure_config=tune.FailureConfig(max_failures=0),
            ),
        )

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
        guard_token()
        local: dict[str, Any] = {"num_cpus": os.cpu_count(), "object_store_memory": 1 << 30}
        try:
            with _loopback() if self.address is None else nullcontext():
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


@contextmanager
def _loopback() -> Iterator[None]:
    """A Ray that is started in the block listens on 127.0.0.1 alone, as on macOS and Windows.

    Ray has no argument for that: it takes the machine's own address in the place of a loopback's.
    """
    before = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


class _Bridge:
    """What the desk's thread, which is the caller's, shares with Tune's.

    Attributes:
        slots: most workers at a time.
        manners: of each.
        desk: of the search.
        is_over: whether no worker is needed any more.
    """

    def __init__(self, driver: Driver, slots: int) -> None:
        self.slots = slots
        self.manners = Manners(driver.between, driver.plan.metric)
        self.desk = Desk(driver, slots, self.classify)
        self.is_over = False
        self._memory_kills = _memory_kills()

    def place(self, tuner: tune.Tuner) -> None:
        """Tune's own loop, until all is over."""
        try:
            tuner.fit()
            self.desk.fail(GiveUp("Ray Tune has ended before the search"))
        # The edge of a thread: whatever ends Tune's loop must end the desk's.
        except BaseException as error:
            self.desk.fail(error)

    def close(self) -> None:
        """Lets all workers go, and Tune end."""
        self.is_over = True
        self.desk.close()

    def classify(self, error: object) -> Failure:
        """What a worker's death means: the machine's fault, or the memory guard's."""
        text = redact(str(error or "the worker died"))
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        message = lines[0] if lines else "the worker died"
        kills = _memory_kills()
        memory = "OutOfMemory" in text or kills > self._memory_kills
        self._memory_kills = kills
        return Failure("out_of_memory" if memory else "infrastructure", message[:300])

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles what it is given, and the journal is our state."""
        return {}


class _Slots(Searcher):
    """Tune asks for a trial: it gets one for each worker that the desk wants."""

    def __init__(self, bridge: _Bridge) -> None:
        super().__init__()
        self._bridge = bridge

    def suggest(self, trial_id: str) -> Any:
        if self._bridge.is_over:
            return str(Searcher.FINISHED)
        return {} if self._bridge.desk.wants_worker() else None

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Nothing: the desk hears from the workers themselves."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the journal is the state."""

    def restore(self, checkpoint_path: str) -> None:
        raise NotImplementedError("resume replays the journal instead")


class _Door(tune.Callback):
    """Tune tells that a worker has come, or is gone."""

    def __init__(self, bridge: _Bridge) -> None:
        self._bridge = bridge

    def on_trial_result(
        self, iteration: int, trials: Any, trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        actor = result.pop(HANDLE, None)
        if actor is not None:
            self._bridge.desk.come(trial.trial_id, _Line(actor))

    def on_trial_error(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        error = trial.get_pickled_error() or trial.get_error()
        self._bridge.desk.lose(trial.trial_id, self._bridge.classify(error))


class _End(tune.Stopper):
    """Ends what Tune still has, such as workers that no node had room for, when all is over."""

    def __init__(self, bridge: _Bridge) -> None:
        self._bridge = bridge

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        return self._bridge.is_over


@dataclass(frozen=True)
class _Line:
    """The way to a worker: calls of its actor."""

    actor: Any

    def talk(self, word: str | None) -> Future[str]:
        answer: Future[str] = self.actor.talk.remote(word).future()
        return answer

    def leave(self) -> None:
        self.actor.leave.remote()


def _memory_kills() -> int:
    """How often this machine's kernel has killed a process for want of memory."""
    try:
        lines = Path("/proc/vmstat").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))
