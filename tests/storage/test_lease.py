"""A driver that lives is left in peace; one that is silent or dead is not waited for."""

from __future__ import annotations

import subprocess
import sys

import pytest

from toprung.core.errors import FixEnvironment
from toprung.storage.lease import DRIVER, Lease
from toprung.storage.segments import Writer
from toprung.storage.store import Store

BEAT, PATIENCE = 0.02, 0.5


def lease(store: Store, writer: Writer, beat: float = BEAT) -> Lease:
    return Lease(store, writer, beat_seconds=beat, patience_seconds=PATIENCE)


def test_a_driver_that_gives_signs_of_life_is_not_displaced(store: Store) -> None:
    held = lease(store, Writer("node1", 7))
    held.take()
    try:
        with pytest.raises(FixEnvironment, match=r"another driver is at work.*pid 7 on node1"):
            lease(store, Writer("node2", 8)).take()
    finally:
        held.give_back()
    assert not store.has(DRIVER)


def test_a_driver_that_is_silent_is_followed_by_the_next(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    silent = lease(store, Writer("node1", 7), beat=60)
    silent.take()
    follower = lease(store, Writer("node2", 8))
    follower.take()
    assert "pid 7 on node1 was at work on it; waiting up to 0 s" in capsys.readouterr().err
    silent.give_back(leave=True)
    assert store.has(DRIVER)
    follower.give_back()
    assert not store.has(DRIVER)


def test_a_dead_process_of_this_machine_is_not_waited_for(store: Store) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    dead = lease(store, Writer(pid=ended.pid), beat=60)
    dead.take()
    following = Lease(store, Writer(), beat_seconds=BEAT, patience_seconds=3600)
    following.take()
    following.give_back()
    dead.give_back(leave=True)


def test_an_object_that_is_no_lease_holds_nobody_up(store: Store) -> None:
    store.put(DRIVER, b"{not json")
    found = Lease(store, Writer(), beat_seconds=BEAT, patience_seconds=3600)
    found.take()
    found.give_back()
