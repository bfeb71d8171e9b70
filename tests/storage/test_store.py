"""Objects under a URL: whole or absent, new or refused, and tried again where that helps."""

from __future__ import annotations

import pickle
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from toprung.core.errors import FixEnvironment, FixSpec
from toprung.storage import store as storage
from toprung.storage.store import StorageError, Store, file_of, is_url, open_store, working_folder


def test_objects_come_back_as_they_were_put(store: Store, tmp_path: Path) -> None:
    store.put("a/b", b"one")
    store.put("a/b", b"two")
    store.put("c", b"")
    assert store.get("a/b") == b"two"
    assert store.get_all(["a/b", "c"]) == {"a/b": b"two", "c": b""}
    assert store.sizes() == {"a/b": 3, "c": 0}
    assert store.sizes("a") == {"a/b": 3}
    assert store.children() == ["a", "c"]
    assert (store.has("a/b"), store.has("a/x")) == (True, False)
    (tmp_path / "file").write_bytes(b"of a disk")
    store.upload(tmp_path / "file", "files/one")
    store.download("files/one", tmp_path / "below" / "other")
    assert (tmp_path / "below" / "other").read_bytes() == b"of a disk"
    store.delete(["a/b", "never/there"])
    assert store.sizes("a") == {}


def test_an_object_that_is_absent_is_said_so_at_once(store: Store, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        store.get("nothing")
    with pytest.raises(FileNotFoundError):
        store.download("nothing", tmp_path / "file")
    assert list(tmp_path.iterdir()) == []
    assert store.below("nowhere").children() == []


def test_a_name_that_is_taken_is_not_put_again(store: Store) -> None:
    store.put_new("once", b"first")
    with pytest.raises(FileExistsError):
        store.put_new("once", b"second")
    assert store.get("once") == b"first"


def test_a_storage_reaches_another_process_as_its_url(store: Store) -> None:
    assert pickle.loads(pickle.dumps(store)) == store


class Shaky:
    """Fails so many times, then works."""

    def __init__(self, times: int, error: Exception) -> None:
        self.left, self.error = times, error

    def __call__(self, files: MemoryFileSystem, path: str, value: bytes, **kwargs: object) -> None:
        if self.left:
            self.left -= 1
            raise self.error
        with files.open(path, "wb") as file:
            file.write(value)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    waited: list[float] = []
    monkeypatch.setattr(storage.time, "sleep", waited.append)
    return waited


def test_what_fails_for_a_moment_is_tried_again(
    store: Store, monkeypatch: pytest.MonkeyPatch, quick: list[float]
) -> None:
    shaky = Shaky(2, RuntimeError("slow down"))
    monkeypatch.setattr(MemoryFileSystem, "pipe_file", lambda *a, **k: shaky(*a, **k))
    store.put("key", b"value")
    assert store.get("key") == b"value"
    assert len(quick) == 2


def test_what_keeps_failing_names_url_and_cause(
    store: Store, monkeypatch: pytest.MonkeyPatch, quick: list[float]
) -> None:
    shaky = Shaky(9, RuntimeError("slow down\nand more"))
    monkeypatch.setattr(MemoryFileSystem, "pipe_file", lambda *a, **k: shaky(*a, **k))
    with pytest.raises(StorageError, match=r"RuntimeError: slow down.*memory://tests-\d+/key"):
        store.put("key", b"value")
    assert quick == sorted(quick)


def test_a_refusal_is_not_tried_again(
    store: Store, monkeypatch: pytest.MonkeyPatch, quick: list[float]
) -> None:
    shaky = Shaky(1, PermissionError("Access Denied"))
    monkeypatch.setattr(MemoryFileSystem, "pipe_file", lambda *a, **k: shaky(*a, **k))
    with pytest.raises(PermissionError, match=r"Access Denied.*memory://"):
        store.put("key", b"value")
    assert quick == []


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("s3://", "names no bucket"),
        ("simplecache::s3://bucket", "no plain URL"),
        ("s3://bucket/../other", "no parents"),
        ("s3://bucket/a?versionId=1", "without"),
        ("nosuch://bucket", "no storage that fsspec knows"),
    ],
)
def test_a_url_that_cannot_hold_results_is_refused_in_words(url: str, words: str) -> None:
    with pytest.raises(FixSpec, match=words):
        open_store(url)


def test_a_secret_in_a_url_is_refused_and_not_repeated() -> None:
    with pytest.raises(FixSpec, match="environment") as caught:
        open_store("s3://AKIAKEY:hushhush@bucket/prefix")
    assert "hushhush" not in str(caught.value)
    assert "AKIAKEY" not in str(caught.value)


def test_a_library_that_is_missing_is_named_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def find(scheme: str) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec, "get_filesystem_class", find)
    with pytest.raises(FixEnvironment, match=r"pip install 'toprung\[s3\]'"):
        open_store("s3://bucket/prefix")


def test_an_object_cannot_lead_out_of_its_folder(tmp_path: Path) -> None:
    assert file_of(tmp_path, "a/b") == tmp_path.resolve() / "a" / "b"
    for key in ("../out", "/etc/passwd", "a/../../out"):
        with pytest.raises(FixEnvironment, match="nobody's search"):
            file_of(tmp_path, key)


def test_each_url_has_a_folder_of_its_own_on_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOPRUNG_CACHE", str(tmp_path))
    one, other = working_folder("s3://bucket/a"), working_folder("s3://bucket/b")
    assert one != other
    assert one == working_folder("s3://bucket/a/")
    assert one.is_relative_to(tmp_path)
    assert not is_url(str(one))


@pytest.mark.parametrize("url", ["file:///mnt/shared/x", "local:///mnt/shared/x"])
def test_a_folder_is_given_as_a_path(url: str) -> None:
    with pytest.raises(FixSpec, match="Give the path"):
        open_store(url)
