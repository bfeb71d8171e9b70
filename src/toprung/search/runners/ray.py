"""Ray Tune as the runner: the driver decides, Ray places, workers stay resident."""

from __future__ import annotations

import logging
import os
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from ray import tune
from ray.exceptions import RayError

from toprung.core.errors import FixEnvironment, Interrupted
from toprung.search.driver import Driver
from toprung.search.runners._base import Runner, T, Train
from toprung.search.runners._capacity import Need, count_slots, needs_of
from toprung.search.runners._connection import connect, in_words
from toprung.search.runners._local import LocalRay
from toprung.search.runners._nodes import ask_nodes
from toprung.search.runners._resident import Resident
from toprung.search.runners._shares import Pulse, alive_nodes
from toprung.search.runners._tune import Bridge, Door, End, Places, place_worker
from toprung.search.watchdog import Watchdog

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
_SLOWER_ALONE = 50
"""How much longer a trial may take on the CPU than on a GPU."""
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
        gpus: per trial; a fraction shares a GPU. None follows from the nodes, see ``needs_of``.
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
    gpus: float | None = 0.0
    memory: int = 0
    cpus_alone: int = 0
    priority: float = 1.0
    workers: int | None = None
    trusts_open: bool = False
    watchdog: Watchdog = field(default_factory=Watchdog)

    @in_words()
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
        wanted = {"memory": self.memory, "cpus_alone": self.cpus_alone}
        needs = needs_of(alive_nodes(), self.cpus, self.gpus, **wanted)
        pulse = None if self.address is None else Pulse(needs, self.priority, self.workers)
        local = LocalRay()
        with local.watched():
            self._work(driver, train, needs, pulse=pulse, local=local)
        if driver.interrupted:
            raise Interrupted("the search was interrupted")

    def _work(
        self,
        driver: Driver,
        train: Train,
        needs: Sequence[Need],
        *,
        pulse: Pulse | None,
        local: LocalRay,
    ) -> None:
        """Places workers and serves them, to the end of the search."""
        slots = pulse.slots(None) if pulse else self._slots(needs)
        watchdog = self.watchdog
        if len(needs) > 1:  # what is usual with a GPU is not so without one
            watchdog = replace(watchdog, times=watchdog.times * _SLOWER_ALONE)
        bridge = Bridge(driver, slots, needs=needs, watchdog=watchdog, local=local)
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
            except (RayError, FixEnvironment):
                local.check()  # a Ray that is gone is told as such, and its farewell not waited for
                raise
            finally:
                bridge.close()
                placing.join(_LOST_SECONDS if local.is_lost else None)
                if pulse is not None:
                    pulse.stop()

    @in_words()
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

    def _tuner(self, bridge: Bridge, train: Train, scratch: str) -> tune.Tuner:
        # The desk asks for no more workers than there are slots, and a cluster may grow.
        os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(max(bridge.slots, _MOST_PENDING))
        worker = tune.with_parameters(Resident, train=train, manners=bridge.manners)
        place = partial(place_worker, [need.bundle() for need in bridge.needs])
        return tune.Tuner(
            tune.with_resources(worker, place),
            tune_config=tune.TuneConfig(search_alg=Places(bridge), num_samples=-1),
            run_config=tune.RunConfig(
                storage_path=scratch,
                name="search",
                verbose=0,
                callbacks=[Door(bridge)],
                stop=End(bridge),
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                failure_config=tune.FailureConfig(max_failures=0),
            ),
        )
