"""Ray Tune as the runner: the driver decides, Ray places, workers stay resident."""

from __future__ import annotations

import logging
import os
import signal
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import ray
from ray import tune
from ray.tune.search import Searcher

from toprung.core.errors import GiveUp, Interrupted
from toprung.core.secrets import redact
from toprung.search.driver import Driver
from toprung.search.runners._base import Runner, T, Train
from toprung.search.runners._capacity import Need, count_slots, slots_by_need
from toprung.search.runners._connection import connect
from toprung.search.runners._desk import Desk
from toprung.search.runners._local import LocalRay, memory_kills
from toprung.search.runners._nodes import ask_nodes
from toprung.search.runners._resident import HANDLE, WAY, Resident
from toprung.search.runners._shares import Pulse, alive_nodes
from toprung.search.runners._worker import Manners
from toprung.search.watchdog import Watchdog
from toprung.trial.decision import Failure

_MOST_PENDING = 10_000
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
_LOST_SECONDS = 1.0
"""That Tune is given to end where its Ray is gone; it may wait for that for ever."""


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
        memory: bytes of a trial, as forecast; it is placed where they are. 0 where unknown.
        cpus_alone: that a trial takes where no GPU is left for it; 0 where it must have its GPUs.
        priority: of this search among those that share the cluster.
        workers: most trials at a time; a cluster is asked for so many, also where its nodes hold
            fewer, so that an autoscaler starts more. None for as many as there is room for.
        trusts_open: whether a cluster may be used that is not of this machine and asks for no
            token.
        watchdog: says which trial hangs.
    """

    address: str | None = None
    cpus: int = 1
    gpus: float = 0.0
    memory: int = 0
    cpus_alone: int = 0
    priority: float = 1.0
    workers: int | None = None
    trusts_open: bool = False
    watchdog: Watchdog = field(default_factory=Watchdog)

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
        connect(self.address, trusts_open=self.trusts_open)
        needs = [Need(self.cpus, self.gpus, self.memory)]
        needs += [Need(self.cpus_alone, 0.0, self.memory)] * bool(self.gpus and self.cpus_alone)
        pulse = None if self.address is None else Pulse(needs, self.priority, self.workers)
        local = LocalRay()
        slots = pulse.slots(None) if pulse else self._slots(needs)
        bridge = _Bridge(driver, slots, needs=needs, watchdog=self.watchdog, local=local)
        # Tune pickles its own state there; nobody reads it, and nobody else may.
        with tempfile.TemporaryDirectory(
            prefix="toprung-tune-", ignore_cleanup_errors=True
        ) as scratch:
            tuner = self._tuner(bridge, train, scratch)
            placing = threading.Thread(target=bridge.place, args=(tuner,), daemon=True)
            placing.start()
            if pulse is not None:
                pulse.start(bridge.desk)
            try:
                bridge.desk.serve()
            finally:
                bridge.close()
                placing.join(_LOST_SECONDS if local.is_lost else None)
                if pulse is not None:
                    pulse.stop()
        if driver.interrupted:
            raise Interrupted("the search was interrupted")

    def on_each_node(self, task: Callable[[], T]) -> Mapping[str, T | BaseException]:
        """What a task answers on each node of the cluster; here where none was named.

        Raises:
            FixEnvironment: as of ``run``.
        """
        if self.address is None:
            return super().on_each_node(task)
        os.environ.update(_QUIET)
        connect(self.address, trusts_open=self.trusts_open)
        return ask_nodes(task)

    def _slots(self, needs: Sequence[Need]) -> int:
        """Of the nodes that are there; of a cluster, which may grow, a Pulse says."""
        slots = count_slots(alive_nodes(), *needs)
        return min(slots, self.workers or slots)

    def _tuner(self, bridge: _Bridge, train: Train, scratch: str) -> tune.Tuner:
        # The desk asks for no more workers than there are slots, and a cluster may grow.
        os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(max(bridge.slots, _MOST_PENDING))
        worker = tune.with_parameters(Resident, train=train, manners=bridge.manners)
        return tune.Tuner(
            tune.with_resources(worker, partial(_place, [need.bundle() for need in bridge.needs])),
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


def _place(bundles: Sequence[dict[str, float]], config: dict[str, Any]) -> Any:
    """What Ray is to find for the worker of this configuration."""
    return tune.PlacementGroupFactory([bundles[config.get(WAY, 0)]])


class _Bridge:
    """What the desk's thread, which is the caller's, shares with Tune's.

    Attributes:
        slots: most workers at a time.
        needs: of a trial, in the order in which they are tried.
        manners: of each.
        desk: of the search.
        is_over: whether no worker is needed any more.
    """

    def __init__(
        self,
        driver: Driver,
        slots: int,
        *,
        needs: Sequence[Need],
        watchdog: Watchdog,
        local: LocalRay,
    ) -> None:
        self.slots, self.needs = slots, needs
        self.manners = Manners(driver.between, driver.plan.metric)
        self.desk = Desk(driver, slots, self.classify, watchdog, pulse=local.check)
        self.is_over = False
        self._memory_kills = memory_kills()

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
        kills = memory_kills()
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
        self._ways: dict[str, int] = {}

    def suggest(self, trial_id: str) -> Any:
        if self._bridge.is_over:
            return str(Searcher.FINISHED)
        if not self._bridge.desk.wants_worker():
            return None
        way = self._ways[trial_id] = self._way()
        return {WAY: way, "cpus": self._bridge.needs[way].cpus} if way else {}

    def _way(self) -> int:
        """The first way to run a trial that the nodes have room for, else the first."""
        needs = self._bridge.needs
        if len(needs) == 1:
            return 0
        room = slots_by_need(alive_nodes(), needs)
        taken = list(self._ways.values())
        return next((n for n in range(len(needs)) if taken.count(n) < room[n]), 0)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Its place is free; the desk hears from the workers themselves."""
        self._ways.pop(trial_id, None)

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
            here = result.get("node_ip") == ray.util.get_node_ip_address()
            process = result.get("pid") if here else None
            self._bridge.desk.come(trial.trial_id, _Line(actor, process))

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
    """The way to a worker: calls of its actor, and its process where that is on this machine."""

    actor: Any
    process: int | None = None

    def talk(self, word: str | None) -> Future[str]:
        answer: Future[str] = self.actor.talk.remote(word).future()
        return answer

    def leave(self) -> None:
        self.actor.leave.remote()

    def kill(self) -> None:
        ray.kill(self.actor, no_restart=True)
        # A process that is stopped does not hear of it.
        if self.process is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(self.process, signal.SIGKILL)
