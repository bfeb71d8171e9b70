"""A place for results is tried before anything rests on it."""

from __future__ import annotations

from pathlib import Path

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from toprung.storage.probe import holds_back_a_second_writer, leave_mark, probe, remove_mark
from toprung.storage.store import StorageError, Store

STEPS = ["shared", "write", "read", "list", "delete"]


@pytest.mark.parametrize("kind", ["path", "url"])
def test_a_sound_place_answers_with_the_latency_of_each_step(
    kind: str, store: Store, tmp_path: Path
) -> None:
    place = store.url if kind == "url" else str(tmp_path / "results" / "mine")
    leave_mark(place, "token")
    found = probe(place, "token")
    assert found.problem is None
    assert list(found.milliseconds) == STEPS
    assert all(took >= 0 for took in found.milliseconds.values())
    remove_mark(place, "token")
    assert store.sizes() == {}
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_folder_that_another_node_does_not_see_is_not_shared(tmp_path: Path) -> None:
    leave_mark(str(tmp_path / "of_the_driver"), "token")
    found = probe(str(tmp_path / "of_the_node"), "token")
    assert found.problem is not None
    assert "not shared" in found.problem


def test_what_a_storage_answers_is_told_in_words(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_mark(store.url, "token")

    def refuse(self: Store, key: str, data: bytes) -> None:
        raise StorageError(5, "Read-only", self.url)

    monkeypatch.setattr(Store, "put", refuse)
    found = probe(store.url, "token")
    assert found.problem is not None
    assert "Read-only" in found.problem


def test_a_storage_that_lets_a_second_writer_in_is_found_out(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert holds_back_a_second_writer(store.url, "token")
    pipe = MemoryFileSystem.pipe_file

    def overwrite(self: MemoryFileSystem, path: str, value: bytes, mode: str = "overwrite") -> None:
        pipe(self, path, value)

    monkeypatch.setattr(MemoryFileSystem, "pipe_file", overwrite)
    assert not holds_back_a_second_writer(store.url, "token")
    assert store.sizes() == {}
