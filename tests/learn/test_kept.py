"""What a trial keeps on a storage: enough to go on anywhere, and never a mixture of two workers."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from toprung.learn.checkpoint import (
    PARTIAL,
    Snapshot,
    load_checkpoint,
    load_trained,
    newest_checkpoint,
    save_checkpoint,
)
from toprung.learn.kept import Kept
from toprung.storage.store import Store, open_store

TRIAL = "t0001"


@pytest.fixture
def store() -> Iterator[Store]:
    found = open_store("memory://trials")
    yield found
    found.delete(found.sizes())


@pytest.fixture
def node(store: Store, tmp_path: Path) -> Callable[[str], Kept]:
    """What a node of that name has and keeps."""
    return lambda name: Kept(store, tmp_path / name)


def save(kept: Kept, name: str, examples: int, value: float = 1.0) -> None:
    """A checkpoint with predictions, as a worker leaves them on its node."""
    weights, training = {"w": torch.full((3,), value)}, {"optimizer.m": torch.zeros(3)}
    state = {"examples": examples, "fingerprint": "same"}
    save_checkpoint(kept.folder / TRIAL / "checkpoints" / name, Snapshot(weights, training, state))
    file = kept.folder / TRIAL / "predictions" / f"{name}.stopping.npy"
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(str(value).encode())


def newest(kept: Kept) -> int | None:
    snapshot = newest_checkpoint(kept.folder / TRIAL / "checkpoints", "same")
    return None if snapshot is None else int(snapshot.state["examples"])


def test_a_trial_goes_on_on_another_node_from_its_newest_checkpoint(
    node: Callable[[str], Kept],
) -> None:
    one, other = node("one"), node("other")
    for point in (1, 3, 9):
        save(one, str(point), point)
        one.push(TRIAL, str(point), {1: 0.5, 3: 0.9, 9: 0.7})
    with other.at_hand(TRIAL):
        assert newest(other) == 9
    save(other, PARTIAL, 12)
    other.push(TRIAL, PARTIAL, {})
    with node("third").at_hand(TRIAL):
        assert newest(node("third")) == 12


def test_the_storage_keeps_of_a_trial_what_a_node_keeps(
    node: Callable[[str], Kept], store: Store
) -> None:
    one = node("one")
    scores = {1: 0.9, 3: 0.2, 9: 0.3, 27: 0.4}
    save(one, PARTIAL, 2)
    one.push(TRIAL, PARTIAL, {})
    for point in scores:
        save(one, str(point), point)
        one.push(TRIAL, str(point), {p: s for p, s in scores.items() if p <= point})
    kept = {tuple(key.split("/")[3:]) for key in store.sizes(f"trials/{TRIAL}/checkpoints")}
    names = {(folder.partition("-")[0], file) for folder, file in kept}
    whole = ("manifest.json", "state.json", "training.safetensors", "weights.safetensors")
    assert {file for name, file in names if name == "27"} == set(whole)
    assert {file for name, file in names if name == "9"} == set(whole)
    assert {file for name, file in names if name == "1"} == set(whole) - {whole[2]}
    assert {name for name, _ in names} == {"1", "9", "27"}


def test_of_several_pauses_the_last_is_gone_on_from(
    node: Callable[[str], Kept], store: Store
) -> None:
    for examples in (100, 200, 300):
        one = node(f"node{examples}")
        save(one, PARTIAL, examples, value=float(examples))
        one.push(TRIAL, PARTIAL, {})
    manifests = [key for key in store.sizes("trials") if key.endswith("manifest.json")]
    assert len(manifests) == 1
    with node("fresh").at_hand(TRIAL):
        assert newest(node("fresh")) == 300
    save(one, PARTIAL, 400)
    with one.at_hand(TRIAL):
        assert newest(one) == 400  # this process ended before it could put it


def test_what_is_there_is_not_put_again(
    node: Callable[[str], Kept], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = node("one")
    save(one, "3", 3)
    one.push(TRIAL, "3", {3: 0.5})
    put: list[str] = []
    monkeypatch.setattr(Store, "upload", lambda self, file, key: put.append(key))
    one.push(TRIAL, "3", {3: 0.5})
    assert put == []


def test_weights_and_predictions_come_to_whoever_builds_the_ensemble(
    node: Callable[[str], Kept],
) -> None:
    one, driver = node("one"), node("driver")
    save(one, "3", 3, value=0.25)
    one.push(TRIAL, "3", {3: 0.5})
    driver.bring_predictions(TRIAL, "3")
    assert (driver.folder / TRIAL / "predictions/3.stopping.npy").read_bytes() == b"0.25"
    assert not (driver.folder / TRIAL / "checkpoints").exists()
    driver.bring_weights(TRIAL, "3")
    found = load_trained(driver.folder / TRIAL / "checkpoints" / "3")
    assert found is not None
    assert found.weights["w"].tolist() == [0.25] * 3
    assert newest(driver) is None  # weights alone are nothing to go on from


def test_two_workers_that_trained_the_same_trial_do_not_mix_their_files(
    node: Callable[[str], Kept], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    late, alive = node("late"), node("alive")
    save(late, "3", 3, value=1.0)
    save(alive, "3", 3, value=2.0)
    upload, done = Store.upload, []

    def upload_and_lose(self: Store, file: Path, key: str) -> None:
        upload(self, file, key)
        done.append(key)
        if len(done) == 3:
            alive.push(TRIAL, "3", {3: 0.5})

    monkeypatch.setattr(Store, "upload", upload_and_lose)
    late.push(TRIAL, "3", {3: 0.5})
    monkeypatch.undo()
    with node("third").at_hand(TRIAL):
        snapshot = load_checkpoint(node("third").folder / TRIAL / "checkpoints" / "3")
    assert snapshot is not None
    assert snapshot.weights["w"].tolist() in ([1.0] * 3, [2.0] * 3)


def test_a_worker_given_up_for_dead_takes_nothing_from_the_one_after_it(
    node: Callable[[str], Kept], store: Store
) -> None:
    late, alive = node("late"), node("alive")
    save(late, "3", 3)
    for point in (3, 9, 27):
        save(alive, str(point), point)
        alive.push(TRIAL, str(point), {3: 0.1, 9: 0.9, 27: 0.2})
    late.push(TRIAL, "3", {3: 0.1})
    with node("third").at_hand(TRIAL):
        assert newest(node("third")) == 27
    node("driver").bring_weights(TRIAL, "9")
    assert load_trained(node("driver").folder / TRIAL / "checkpoints" / "9") is not None


@pytest.mark.parametrize("damage", ["half uploaded", "changed"])
def test_a_checkpoint_that_is_not_what_was_put_gives_way_to_the_one_before(
    node: Callable[[str], Kept], store: Store, *, damage: str
) -> None:
    one = node("one")
    for point in (3, 9):
        save(one, str(point), point)
        one.push(TRIAL, str(point), {3: 0.1, 9: 0.9})
    newer = [key for key in store.sizes("trials") if "/9-" in key]
    wanted = "manifest.json" if damage == "half uploaded" else "weights.safetensors"
    hurt = next(key for key in newer if key.endswith(wanted))
    if damage == "changed":
        store.put(hurt, b"\0" * store.sizes("trials")[hurt])
    else:
        store.delete([hurt])
    with node("other").at_hand(TRIAL):
        assert newest(node("other")) == 3


def test_copies_that_nobody_works_with_make_room_on_a_full_node(
    node: Callable[[str], Kept],
) -> None:
    one = node("one")
    save(one, "3", 3)
    one.push(TRIAL, "3", {3: 0.1})
    with one.at_hand(TRIAL):
        one.make_room(2.0)
        assert newest(one) == 3
    one.make_room(0.0)
    assert newest(one) == 3
    one.make_room(2.0)
    assert newest(one) is None
    with one.at_hand(TRIAL):
        assert newest(one) == 3
    shutil.rmtree(one.folder)
