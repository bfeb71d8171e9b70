"""What Ray's own failures come to: words, exit code 3, and a search that can be resumed."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import ray
from ray._private import parameter

from toprung.core.errors import FixEnvironment, GiveUp
from toprung.search.runners._connection import _few_processes, _init, connect, ray_failed
from toprung.search.runners._tune import Bridge


def raising(error: BaseException) -> Callable[..., Any]:
    def call(**_: object) -> None:
        raise error

    return call


def test_a_ray_that_does_not_start_is_told_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = Exception("The current node timed out during startup.\nSee the logs.")
    monkeypatch.setattr(ray, "init", raising(plain))
    with pytest.raises(
        FixEnvironment, match=r"could not be started .* timed out during startup\.\)"
    ):
        _init(None)
    with pytest.raises(FixEnvironment, match=r"No Ray cluster .* at '10\.0\.0\.1:6379'"):
        _init("10.0.0.1:6379")


def test_the_agent_of_an_own_ray_waits_for_no_port_that_another_has() -> None:
    preferred = parameter.RayParams().dashboard_agent_listen_port
    with _few_processes():
        assert parameter.RayParams(num_cpus=1).dashboard_agent_listen_port == 0
    assert parameter.RayParams().dashboard_agent_listen_port == preferred != 0


@pytest.mark.parametrize(
    ("address", "told"),
    [("ray://10.0.0.1:10001", "a Ray Client address"), ("http://10.0.0.1:8265", "of a dashboard")],
)
def test_what_is_no_address_of_a_head_is_refused_at_once(address: str, told: str) -> None:
    with pytest.raises(FixEnvironment, match=f"'{address}' is .*{told}.*host:port"):
        connect(address, trusts_open=False)


@pytest.mark.parametrize(
    ("fit", "told"),
    [
        (raising(ray.exceptions.RaySystemError("the head is gone")), "RaySystemError"),
        (lambda: None, "Tune has ended before the search"),
    ],
)
def test_whatever_ends_tune_ends_the_search_with_words(fit: Any, told: str) -> None:
    heard: list[BaseException] = []
    bridge = Bridge.__new__(Bridge)
    bridge.desk = SimpleNamespace(fail=heard.append)  # type: ignore[assignment]
    bridge.place(SimpleNamespace(fit=fit))  # type: ignore[arg-type]
    assert isinstance(heard[0], FixEnvironment)
    assert told in str(heard[0])
    assert "resume" in str(heard[0])
    assert heard[0].__cause__ is not None


def test_an_error_of_ours_stays_what_it_is() -> None:
    error = GiveUp("no")
    assert ray_failed(error) is error


START = """
import os
from toprung.search.runners import ray
from toprung.search.runners._connection import connect
os.environ.update(ray._QUIET)
connect(None, trusts_open=False)
"""


@pytest.mark.timeout(120)
def test_a_head_that_dies_while_ray_starts_ends_the_process_in_words() -> None:
    starting = subprocess.Popen([sys.executable, "-c", START], stderr=subprocess.PIPE, text=True)
    process = psutil.Process(starting.pid)

    def below(*names: str) -> list[psutil.Process]:
        found = process.children(recursive=True) if starting.poll() is None else []
        return [child for child in found if not names or child.name() in names]

    try:
        # The raylet comes later, so the head has been seen by then, and is waited for.
        while starting.poll() is None and not below("raylet"):
            time.sleep(0.02)
        started = below()
        (head,) = below("gcs_server")
        head.kill()
        said = starting.communicate(timeout=60)[1]
    finally:
        starting.kill()
    assert starting.returncode == FixEnvironment.exit_code
    assert "lost its gcs_server" in said
    assert "resume" in said
    assert not [child for child in started if child.is_running() and child.status() != "zombie"]
