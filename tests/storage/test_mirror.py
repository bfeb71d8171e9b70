"""A folder and a storage kept alike: read anywhere, worked on in one place."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from toprung.core.errors import FixEnvironment
from toprung.core.files import new_folder, sha256_file, write_json, write_text
from toprung.storage.lease import DRIVER
from toprung.storage.mirror import Mirror
from toprung.storage.segments import Fenced, Segments, Writer
from toprung.storage.sign import PAUSE, Sign
from toprung.storage.store import Store


@pytest.fixture
def machine(store: Store, tmp_path: Path) -> Callable[[str], Mirror]:
    """The search as a machine of that name sees it."""
    return lambda name: Mirror(store, tmp_path / name / "mine", "journal.jsonl")


def files(mirror: Mirror) -> dict[str, bytes]:
    found = (path for path in mirror.root.rglob("*") if path.is_file())
    return {path.relative_to(mirror.root).as_posix(): path.read_bytes() for path in found}


def build_ensemble(mirror: Mirror, *trials: str) -> None:
    with new_folder(mirror.root / "ensemble") as aside:
        members = []
        for trial in trials:
            weights = aside / "members" / trial / "weights.safetensors"
            weights.parent.mkdir(parents=True)
            weights.write_bytes(f"weights of {trial}".encode())
            members.append({"trial": trial, "files": {weights.name: sha256_file(weights)}})
        write_json(aside / "ensemble.json", {"members": members})


def test_what_one_machine_has_done_another_goes_on_with(
    machine: Callable[[str], Mirror],
) -> None:
    one, other = machine("one"), machine("other")
    with one.at_work():
        one.push(b'{"seq": 1}\n')
        write_text(one.root / "spec.yaml", "name: mine\n")
    with other.at_work():
        assert files(other) == {"journal.jsonl": b'{"seq": 1}\n', "spec.yaml": b"name: mine\n"}
        other.push(b'{"seq": 2}\n')
        (other.root / "spec.yaml").unlink()
        write_text(other.root / "report.md", "# mine\n")
    assert one.refresh()
    assert files(one)["journal.jsonl"] == b'{"seq": 1}\n{"seq": 2}\n'
    assert files(one)["report.md"] == b"# mine\n"


def test_weights_stay_on_the_storage_until_somebody_predicts(
    machine: Callable[[str], Mirror],
) -> None:
    one, other = machine("one"), machine("other")
    with one.at_work():
        one.push(b"{}\n")
        build_ensemble(one, "t0001")
        one.publish("ensemble")
    other.refresh()
    weights = "ensemble/members/t0001/weights.safetensors"
    assert set(files(other)) == {"journal.jsonl", "ensemble/ensemble.json"}
    other.fetch_weights()
    assert files(other)[weights] == b"weights of t0001"
    (other.root / weights).write_bytes(b"weights of t000X")
    other.refresh()
    other.fetch_weights()
    assert files(other)[weights] == b"weights of t0001"


def test_an_ensemble_that_was_built_anew_replaces_the_old_one_everywhere(
    machine: Callable[[str], Mirror], store: Store
) -> None:
    one, other = machine("one"), machine("other")
    with one.at_work():
        one.push(b"{}\n")
        build_ensemble(one, "t0001")
        one.publish("ensemble")
        other.refresh()
        other.fetch_weights()
        build_ensemble(one, "t0002")
        one.publish("ensemble")
    assert [key for key in store.sizes("ensemble") if "t0001" in key] == []
    other.refresh()
    assert [name for name in files(other) if "t0001" in name] == []


def test_of_a_machine_one_process_works_and_others_may_read(
    machine: Callable[[str], Mirror],
) -> None:
    one, again = machine("one"), machine("one")
    with one.at_work():
        one.push(b"{}\n")
        write_text(one.root / "journal.jsonl", "as the driver has it\n")
        with pytest.raises(FixEnvironment, match="another driver is at work"), again.at_work():
            pass
        assert not again.refresh()
        assert files(again)["journal.jsonl"] == b"as the driver has it\n"
    assert again.refresh()
    assert files(again)["journal.jsonl"] == b"{}\n"


def ask_to_pause(mirror: Mirror) -> None:
    """Asks, and waits until that was done."""
    mirror.ask_to_pause()
    for thread in threading.enumerate():
        if thread.name == "pause":
            thread.join()


def test_a_driver_that_was_displaced_publishes_nothing(
    machine: Callable[[str], Mirror], store: Store
) -> None:
    one = machine("one")

    def work() -> None:
        with one.at_work():
            one.push(b"{}\n")
            ask_to_pause(one)
            assert store.has(PAUSE)
            store.delete([PAUSE])
            newer = Segments(store, Writer("node2", 9))
            newer.read()
            newer.push(b"{}\n")
            write_text(one.root / "report.md", "of the older\n")
            ask_to_pause(one)
            assert not store.has(PAUSE)
            one.push(b"{}\n")

    with pytest.raises(Fenced):
        work()
    assert not store.has("report.md")
    assert store.has(DRIVER)  # it is the newer one's to remove


def test_what_was_written_before_an_error_is_published(
    machine: Callable[[str], Mirror], store: Store
) -> None:
    one = machine("one")

    def work() -> None:
        with one.at_work():
            one.push(b"{}\n")
            write_text(one.root / "leaderboard.csv", "rank\n")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    assert store.get("leaderboard.csv") == b"rank\n"
    assert not store.has(DRIVER)


def test_a_planted_object_cannot_be_written_outside_of_the_folder(
    machine: Callable[[str], Mirror], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = machine("one")
    sizes = Store.sizes

    def planted(self: Store, prefix: str = "") -> dict[str, int]:
        return {"ensemble/../../escaped": 3} if prefix == "ensemble" else sizes(self, prefix)

    monkeypatch.setattr(Store, "sizes", planted)
    with pytest.raises(FixEnvironment, match="nobody's search"):
        one.fetch_weights()
    assert not list(one.root.parent.rglob("escaped"))


def test_a_pause_is_seen_on_another_machine(
    machine: Callable[[str], Mirror], store: Store, tmp_path: Path
) -> None:
    sign = Sign(store, ".pause", tmp_path / "elsewhere" / ".pause", every_seconds=0.0)
    assert not sign.exists()
    machine("one").ask_to_pause()
    for _ in range(1000):
        if sign.exists():
            break
    assert sign.exists()
    with machine("other").at_work():
        assert not Sign(store, ".pause", tmp_path / "none", every_seconds=0.0).exists()
