"""A Tune trial that is a worker: Tune places and watches it, the driver speaks with it."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from typing import Any

import ray
import ray._private.worker as ray_worker
from ray import tune

from toprung.core.notice import give_notice, has_notice
from toprung.core.threads import CPUS_VARIABLE
from toprung.search.runners._base import Train
from toprung.search.runners._worker import Manners, Worker

HANDLE, WAY = "worker", "way"
_MORE_SECONDS = 0.005
"""A worker that trains on after a report may have more to say in the same breath."""
_ENDS = "raise_sys_exit_with_custom_error_message"
"""The function of Ray's module by which its handler of SIGTERM ends a worker's process."""


class Resident(tune.Trainable):
    """A worker that keeps its process, and all that is loaded in it, from trial to trial.

    Ray runs its methods side by side, as one of them is a coroutine: ``train``, which Tune waits
    for, ends when the worker is let go, and meanwhile the driver calls ``talk``.
    """

    def setup(
        self, config: dict[str, Any], train: Train | None = None, manners: Manners | None = None
    ) -> None:
        """Gets ready for a first assignment."""
        assert train is not None
        assert manners is not None
        if not config["gpus"]:
            os.environ["CUDA_VISIBLE_DEVICES"] = ""  # Ray hides none.
        if config[WAY]:
            os.environ[CPUS_VARIABLE] = str(config["cpus"])
        self._come = False
        self._released, self._news, self._silent = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._worker = Worker(train, manners, self._on_news)
        _heed_sigterm(self._worker)

    async def train(self) -> dict[str, Any]:
        """Tune's call: gives the driver this worker's handle, then ends when it is let go."""
        if self._come:
            await self._released.wait()
        done: dict[str, Any] = super().train()
        return done

    def step(self) -> dict[str, Any]:
        """What Tune is told, the first and the second time."""
        come, self._come = self._come, True
        return {"done": True} if come else {HANDLE: ray.get_runtime_context().current_actor}

    async def talk(self, word: str | None) -> str:
        """Hears a word of the driver, and says what there is to say, once there is something."""
        self._loop = asyncio.get_running_loop()
        if word is not None:
            self._worker.hear(word)
        await self._news.wait()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._silent.wait(), _MORE_SECONDS)
        self._news.clear()
        self._silent.clear()
        return self._worker.take()

    async def leave(self) -> None:
        """Lets ``train`` end, and with it this process."""
        self._released.set()

    def _on_news(self, waits: bool) -> None:
        """In the worker's thread, which cannot have news before it was spoken to."""
        self._loop.call_soon_threadsafe(self._news.set)
        if waits:
            self._loop.call_soon_threadsafe(self._silent.set)


def _heed_sigterm(worker: Worker) -> None:
    """Makes the first SIGTERM a notice where a trial is at work: it saves itself and leaves.

    Ray's handler runs on the main thread. An actor with coroutines never does, so it cannot set
    another one; the function by which the handler ends the process is replaced instead.
    """
    end = getattr(ray_worker, _ENDS, None)
    if end is None:
        return

    def heed(message: str, exit_code: int = 1) -> None:
        if worker.at_work and not has_notice():
            give_notice()
        else:
            end(message, exit_code=exit_code)

    setattr(ray_worker, _ENDS, heed)
