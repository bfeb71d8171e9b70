"""Ray Tune's side of the runner: what it is given to call, and what that tells the desk."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.tune.search import Searcher

from toprung.core.secrets import redact
from toprung.search.driver import Driver
from toprung.search.runners._capacity import Need, slots_by_need
from toprung.search.runners._connection import ray_failed
from toprung.search.runners._desk import Desk
from toprung.search.runners._local import LocalRay, memory_kills
from toprung.search.runners._resident import HANDLE, WAY
from toprung.search.runners._shares import alive_nodes
from toprung.search.runners._worker import Manners
from toprung.search.watchdog import Watchdog
from toprung.trial.decision import Failure

_IN_START = "creation task"
"""In the first line of Ray's error where a worker fails before it has come."""


def place_worker(bundles: Sequence[dict[str, float]], config: dict[str, Any]) -> Any:
    """What Ray is to find for the worker of this configuration."""
    return tune.PlacementGroupFactory([bundles[config.get(WAY, 0)]])


class Bridge:
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
            raise RuntimeError("Tune has ended before the search")
        # The edge of a thread: whatever ends Tune's loop must end the desk's.
        except BaseException as error:
            self.desk.fail(ray_failed(error))

    def close(self) -> None:
        """Lets all workers go, and Tune end."""
        self.is_over = True
        self.desk.close()

    def classify(self, error: object) -> Failure:
        """What a worker's death means: the machine's fault, or the memory guard's."""
        text = redact(str(error or "the worker died"))
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        message = lines[0] if lines else "the worker died"
        if _IN_START in message:
            message = f"the worker could not start: {lines[-1]}"
        kills = memory_kills()
        memory = "OutOfMemory" in text or kills > self._memory_kills
        self._memory_kills = kills
        return Failure("out_of_memory" if memory else "infrastructure", message[:300])

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles what it is given, and the journal is our state."""
        return {}


class Places(Searcher):
    """Tune asks for a trial: it gets one for each worker that the desk wants."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__()
        self._bridge = bridge
        self._ways: dict[str, int] = {}

    def suggest(self, trial_id: str) -> Any:
        if self._bridge.is_over:
            return str(Searcher.FINISHED)
        if not self._bridge.desk.wants_worker():
            return None
        way = self._ways[trial_id] = self._way()
        need = self._bridge.needs[way]
        return {WAY: way, "cpus": need.cpus, "gpus": need.gpus}

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


class Door(tune.Callback):
    """Tune tells that a worker has come, or is gone."""

    def __init__(self, bridge: Bridge) -> None:
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
        self._bridge.desk.lose(trial.trial_id, self._bridge.classify(_cause(trial)))


def _cause(trial: Any) -> str:
    """Why Tune's trial ended, from the text that it has just written beside it.

    Its own ``get_error`` looks on the storage, where the text is not yet; and it unpickles.
    """
    try:
        return Path(trial.error_file or "").read_text(encoding="utf-8").partition("\n")[2]
    except OSError:
        return ""


class End(tune.Stopper):
    """Ends what Tune still has, such as workers that no node had room for, when all is over."""

    def __init__(self, bridge: Bridge) -> None:
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
