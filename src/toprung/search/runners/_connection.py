"""Joins a cluster, or starts a Ray on this machine; says in words what stands in the way."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import ray
from ray._private import parameter, ray_constants
from ray.exceptions import RayError
from ray.tune.execution import class_cache

from toprung.core.errors import FixEnvironment, ToprungError
from toprung.core.secrets import redact
from toprung.search.runners._access import (
    TOKEN_ADVICE,
    close_token_file,
    make_token,
    refuse_open,
    refuses,
)
from toprung.search.runners._local import start_watched

_HANDED_OVER, _SET = class_cache.ENV_VARS_TO_PROPAGATE, class_cache.DEFAULT_ENV_VARS
"""What Tune would have workers get of this process's environment, and besides."""

_STARTED: set[str] = set()
"""Addresses of the Rays that this process has started: their workers have its environment."""

_AHEAD_MS = 20_000
"""For how long a process that Ray has started ahead waits for work; its own second is too short."""


def connect(address: str | None, *, trusts_open: bool) -> None:
    """Makes this process a driver of a cluster; does nothing where it is one already.

    Args:
        address: of a running cluster, as ``ray.init`` takes it; None starts a local Ray.
        trusts_open: whether a cluster will do that is not of this machine and asks for no token.

    Raises:
        FixEnvironment: no cluster there, a token that it refuses, or none that it asks for.
    """
    kind, there, _ = (address or "").partition("://")
    if there:
        what = "a Ray Client address" if kind == "ray" else "the address of a dashboard"
        raise FixEnvironment(
            f"'{address}' is {what}, and Tune does not run through it. Give "
            f"the head's own address, host:port, or 'auto' on a machine of the cluster."
        )
    if ray.is_initialized():
        _hand_over(ray.get_runtime_context().gcs_address in _STARTED)
        return
    _hand_over(address is None)
    if address is None:
        make_token()
    close_token_file()
    if address is not None and ":" in address and refuses(address):
        text = f"The Ray cluster at {address} refuses this driver's token, or its lack of one."
        raise FixEnvironment(f"{text} {TOKEN_ADVICE}")
    # Ray puts its own handler for SIGTERM in the place of the caller's. Its processes must not
    # go down with the terminal: what is ignored here they ignore too.
    alone = threading.current_thread() is threading.main_thread()
    before = {name: signal.getsignal(name) for name in (signal.SIGTERM, signal.SIGHUP)}
    if alone:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        _init(address)
    finally:
        for name, handler in before.items() if alone else ():
            signal.signal(name, handler)
    if address is not None and not trusts_open:
        _refuse_open()


def _init(address: str | None) -> None:
    local: dict[str, Any] = {"num_cpus": os.cpu_count(), "object_store_memory": 1 << 30}
    local["_system_config"] = {"idle_worker_killing_time_threshold_ms": _AHEAD_MS}
    try:
        with _at_home(address):
            ray.init(
                address=address or "local",
                include_dashboard=False if address is None else None,
                log_to_driver=False,
                logging_level=logging.ERROR,
                **(local if address is None else {}),
            )
        if address is None:
            _STARTED.add(ray.get_runtime_context().gcs_address)
    # Ray says with a bare Exception that a node did not start.
    except Exception as error:
        if address is None:
            raise ray_failed(error, "could not be started on this machine") from error
        reason = first_line(error)
        raise FixEnvironment(
            f"No Ray cluster lets this driver in at '{address}': {reason}. Start one with 'ray "
            f"start --head', or leave --address out to run on this machine. Where the cluster "
            f"asks for a token: {TOKEN_ADVICE}"
        ) from None


def ray_failed(error: BaseException, what: str = "has failed") -> ToprungError:
    """What to raise where Ray does not go on: an error of ours as it is, others in words."""
    if isinstance(error, ToprungError):
        return error
    kind = type(error).__name__
    found = FixEnvironment(
        f"Ray {what} ({kind}: {first_line(error)}). Nothing that was journaled is lost: resume, "
        f"and the search goes on where it is with a new Ray."
    )
    found.__cause__ = error
    return found


@contextmanager
def in_words() -> Iterator[None]:
    """What Ray raises in the block, or in a function that this decorates, as ``ray_failed``."""
    try:
        yield
    except RayError as error:
        raise ray_failed(error) from error


def first_line(error: BaseException) -> str:
    """What an error says, without secrets, on one line.

    >>> first_line(ValueError("no port\\n  at 1"))
    'no port'
    """
    return redact(str(error).strip().partition("\n")[0])[:300]


def _hand_over(at_home: bool) -> None:
    """Has Tune hand its workers less of this process's environment.

    It would hand a cloud's keys over as arguments, which all can see; workers use what is theirs.
    Those of a Ray that this process starts have its environment anyway, and one to whom nothing is
    handed over can be a process that Ray has started ahead.
    """
    shown = {name for name in _HANDED_OVER if not name.startswith("AWS_")}
    class_cache.ENV_VARS_TO_PROPAGATE = set() if at_home else shown
    class_cache.DEFAULT_ENV_VARS = {} if at_home else _SET


@contextmanager
def _at_home(address: str | None) -> Iterator[None]:
    """What is done for a Ray that the block starts; nothing for one that is there."""
    if address is not None:
        yield
        return
    with _loopback(), _few_processes(), start_watched():
        yield


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


@contextmanager
def _few_processes() -> Iterator[None]:
    """A Ray that is started in the block starts soon, and without what serves a cluster alone.

    Ray has no argument for that: where another Ray has the port that all agents prefer, it waits
    3.4 s; its autoscaler has no nodes to start here, and the workers' logs are not sent anywhere.
    """
    before = parameter.RayParams
    leaner: Any = {"dashboard_agent_listen_port": 0}
    leaner |= {"no_monitor": True, "include_log_monitor": False}
    parameter.RayParams = partial(before, **leaner)  # type: ignore[assignment, misc]
    try:
        yield
    finally:
        parameter.RayParams = before  # type: ignore[misc]


def _refuse_open() -> None:
    try:
        refuse_open(ray.get_runtime_context().gcs_address)
    except FixEnvironment:
        ray.shutdown()
        raise
