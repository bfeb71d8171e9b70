"""A journal as objects: what was pushed stands, and of two drivers one goes on."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext
from pathlib import Path

import pytest

from toprung.core.clock import VirtualClock
from toprung.core.errors import FixEnvironment
from toprung.storage import segments as segments_module
from toprung.storage.segments import Fenced, Segments, Writer, has_segments
from toprung.storage.store import StorageError, Store
from toprung.trial.journal import Journal, read_events


def opened(store: Store) -> tuple[Segments, bytes]:
    segments = Segments(store, Writer())
    return segments, segments.read()


def test_lines_come_back_in_the_order_of_their_numbers(store: Store) -> None:
    assert not has_segments(store)
    first, nothing = opened(store)
    assert nothing == b""
    pushed = [f'{{"seq": {n}}}\n'.encode() for n in range(1, 13)]
    for lines in pushed:
        first.push(lines)
    assert has_segments(store)
    second, lines = opened(store)
    assert lines == b"".join(pushed)
    second.push(b"{}\n")
    assert len(store.sizes("journal")) == 13


def test_a_long_journal_is_read_with_few_requests_and_still_fences(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments_module, "_COMPACT_EVERY", 4)
    first, _ = opened(store)
    slept, _ = opened(store)
    pushed = [f'{{"seq": {n}}}\n'.encode() for n in range(1, 11)]
    for lines in pushed:
        first.push(lines)
    asked: list[str] = []
    get_all = Store.get_all

    def note(self: Store, keys: Iterable[str]) -> dict[str, bytes]:
        asked.extend(wanted := list(keys))
        return get_all(self, wanted)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "get_all", note)
        second, lines = opened(store)
    assert lines == b"".join(pushed)
    assert asked == [f"journal/{name}.jsonl" for name in ("upto-00000008", "00000009", "00000010")]
    second.push(b"11\n")
    second.push(b"12\n")
    assert opened(store)[1] == b"".join(pushed) + b"11\n12\n"
    kept = [key for key in store.sizes("journal") if "upto" in key]
    assert kept == [f"journal/upto-{n:08d}.jsonl" for n in (8, 12)]
    with pytest.raises(Fenced):
        slept.push(b"late\n")
    store.delete(key for key in store.sizes("journal") if "upto" in key)
    assert opened(store)[1] == b"".join(pushed) + b"11\n12\n"


def test_a_driver_that_was_taken_for_dead_cannot_add_a_line(store: Store) -> None:
    older, _ = opened(store)
    older.push(b'{"of": "older"}\n')
    newer, _ = opened(store)
    newer.push(b'{"of": "newer"}\n')
    with pytest.raises(Fenced, match=r"another driver \(pid \d+ on .*\) has taken"):
        older.push(b'{"of": "older again"}\n')
    assert opened(store)[1] == b'{"of": "older"}\n{"of": "newer"}\n'


def test_of_two_that_open_at_once_one_goes_on(store: Store) -> None:
    one, other = opened(store)[0], opened(store)[0]
    other.push(b"{}\n")
    with pytest.raises(Fenced):
        one.push(b"{}\n")


def test_an_answer_that_was_lost_does_not_fence_its_own_writer(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    segments, _ = opened(store)
    put = Store.put_new

    def put_twice(self: Store, key: str, data: bytes) -> None:
        put(self, key, data)
        put(self, key, data)

    monkeypatch.setattr(Store, "put_new", put_twice)
    segments.push(b"one\n")
    segments.push(b"two\n")
    assert opened(store)[1] == b"one\ntwo\n"


def test_a_segment_that_is_missing_is_named(store: Store) -> None:
    segments, _ = opened(store)
    for _ in range(3):
        segments.push(b"{}\n")
    store.delete(["journal/00000002.jsonl"])
    with pytest.raises(FixEnvironment, match=r"00000002\.jsonl is missing among later ones"):
        opened(store)


def test_a_segment_that_was_changed_is_named(store: Store) -> None:
    opened(store)[0].push(b"{}\n")
    store.put("journal/00000001.jsonl", b"{}\n{}")
    with pytest.raises(FixEnvironment, match=r"00000001\.jsonl is no segment"):
        opened(store)


def test_a_block_of_events_is_one_segment(store: Store, tmp_path: Path) -> None:
    segments, _ = opened(store)
    with Journal(tmp_path, VirtualClock(), push=segments.push) as journal:
        journal.append("alone")
        with journal.together():
            for _ in range(10):
                journal.append("one of ten")
            assert len(store.sizes("journal")) == 1
    assert len(store.sizes("journal")) == 2
    assert opened(store)[1] == (tmp_path / "journal.jsonl").read_bytes()


@pytest.mark.parametrize("together", [False, True])
def test_what_the_storage_did_not_take_was_never_told(
    store: Store, tmp_path: Path, together: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    segments, _ = opened(store)

    def refuse(self: Store, key: str, data: bytes) -> None:
        raise StorageError(5, "gone", self.url)

    with Journal(tmp_path, VirtualClock(), push=segments.push) as journal:
        journal.append("before")
        with monkeypatch.context() as patch:
            patch.setattr(Store, "put_new", refuse)
            block = journal.together() if together else nullcontext()
            with pytest.raises(StorageError), block:
                journal.append("lost")
        # Whether it arrived is not known, so nothing may follow it.
        with pytest.raises(OSError, match="refused earlier events"):
            journal.append("after")
    assert [event["kind"] for event in read_events(tmp_path / "journal.jsonl")] == ["before"]
    assert opened(store)[1] == (tmp_path / "journal.jsonl").read_bytes()
