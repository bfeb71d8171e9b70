"""The journal's promise: what was told is on the disk, and what is not was never told."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from toprung.core.clock import VirtualClock
from toprung.core.errors import FixEnvironment
from toprung.core.files import AWAY
from toprung.search.ledger import Ledger
from toprung.trial.journal import JOURNAL_NAME, Journal, read_events


@pytest.fixture
def syncs(monkeypatch) -> list[int]:
    """The size of the file at each wait for the disk."""
    seen: list[int] = []
    really = os.fsync

    def fsync(descriptor: int) -> None:
        really(descriptor)
        seen.append(os.fstat(descriptor).st_size)

    monkeypatch.setattr(os, "fsync", fsync)
    return seen


def test_events_of_a_block_share_one_wait_for_the_disk(tmp_path, syncs) -> None:
    with Journal(tmp_path, VirtualClock()) as journal:
        journal.append("alone")
        syncs.clear()
        with journal.together():
            for _ in range(10):
                journal.append("one of ten")
            with journal.together():
                journal.append("within")
            assert syncs == []
        assert syncs == [journal.path.stat().st_size]
        journal.append("alone again")
        assert len(syncs) == 2
    assert [event["seq"] for event in read_events(journal.path)] == list(range(1, 14))


def test_a_block_without_events_does_not_wait(tmp_path, syncs) -> None:
    with Journal(tmp_path, VirtualClock()) as journal:
        syncs.clear()
        with journal.together():
            pass
        assert syncs == []


def test_watchers_hear_of_a_block_when_it_is_on_the_disk(tmp_path, syncs) -> None:
    heard: list[tuple[str, int]] = []
    with Journal(tmp_path, VirtualClock()) as journal:
        ledger = Ledger(journal, [lambda event: heard.append((event["kind"], len(syncs)))])
        syncs.clear()
        with ledger.together():
            ledger.write("one")
            ledger.write("two")
            assert heard == []
        ledger.write("three")
    assert heard == [("one", 1), ("two", 1), ("three", 2)]


def write_together(ledger: Ledger, **fields: float) -> None:
    with ledger.together():
        for kind, value in fields.items():
            ledger.write(kind, value=value)


def test_an_error_in_a_block_keeps_what_was_written_before_it(tmp_path) -> None:
    heard: list[str] = []
    with Journal(tmp_path, VirtualClock()) as journal:
        ledger = Ledger(journal, [lambda event: heard.append(event["kind"])])
        with pytest.raises(ValueError, match="not JSON compliant"):
            write_together(ledger, one=0.5, broken=float("nan"))
        ledger.write("two")
        assert [event["kind"] for event in read_events(journal.path)] == ["one", "two"]
    assert heard == ["one", "two"]


def refuse(descriptor: int) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_disk_that_refuses_a_block_leaves_nothing_of_it_and_no_more_is_written(
    tmp_path, monkeypatch
) -> None:
    heard: list[str] = []
    with Journal(tmp_path, VirtualClock()) as journal:
        ledger = Ledger(journal, [lambda event: heard.append(event["kind"])])
        ledger.write("before")
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", refuse)
            with pytest.raises(OSError, match="No space"):
                write_together(ledger, lost=1.0)
        with pytest.raises(OSError, match="refused earlier events"):
            ledger.write("after")
    assert heard == ["before"]
    assert [event["kind"] for event in read_events(journal.path)] == ["before"]
    with Journal(tmp_path, VirtualClock()) as again:
        again.append("goes on")
    assert [event["seq"] for event in read_events(again.path)] == [1, 2]


def test_a_disk_that_refuses_one_event_can_be_tried_again(tmp_path, monkeypatch) -> None:
    with Journal(tmp_path, VirtualClock()) as journal:
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", refuse)
            with pytest.raises(OSError, match="No space"):
                journal.append("lost")
        journal.append("kept")
        assert [event["kind"] for event in read_events(journal.path)] == ["kept"]


def test_lines_are_given_again_to_a_storage_that_did_not_answer(tmp_path: Path) -> None:
    given: list[bytes] = []
    answers = [True, False, False, True, False]

    def push(lines: bytes) -> None:
        given.append(lines)
        if not answers.pop(0):
            raise OSError(AWAY, "no route", "s3://bucket/mine")

    class Patient:
        def __init__(self) -> None:
            self.told: list[str] = []

        def wait(self, why: str, seconds: float) -> bool:
            self.told.append(why)
            return len(self.told) <= 2

        def over(self) -> None:
            self.told.append("over")

    patience = Patient()
    with Journal(tmp_path, VirtualClock(), push=push, patience=patience) as journal:
        journal.append("alone", number=1)
        journal.append("alone", number=2)
        assert patience.told == ["[Errno 113] no route: 's3://bucket/mine'"] * 2 + ["over"]
        assert given[1] == given[2] == given[3] != given[0]
        with pytest.raises(OSError, match="no route"):
            journal.append("alone", number=3)
        assert journal.broken
    assert [event["number"] for event in read_events(tmp_path / JOURNAL_NAME)] == [1, 2]


def test_a_journal_that_was_cut_goes_on_after_the_openings_that_it_no_longer_tells(
    tmp_path,
) -> None:
    for _ in range(3):
        with Journal(tmp_path, VirtualClock()) as journal:
            journal.append("opened")
    first = journal.path.read_bytes().splitlines(keepends=True)[0]
    journal.path.write_bytes(first)
    with Journal(tmp_path, VirtualClock()) as journal:
        assert journal.epoch == 4


def test_a_file_system_without_locks_is_not_another_driver(tmp_path, monkeypatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", refuse)
    with pytest.raises(FixEnvironment, match="the file system gives no locks"):
        Journal(tmp_path, VirtualClock())
