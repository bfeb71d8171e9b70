from __future__ import annotations

from pathlib import Path

import pytest
import torch

from toprung.learn.checkpoint import (
    Snapshot,
    load_checkpoint,
    load_trained,
    newest_checkpoint,
    save_checkpoint,
    tidy_checkpoints,
)


def snapshot(examples: int, fingerprint: str = "f") -> Snapshot:
    weights = {"head.weight": torch.full((4, 4), float(examples))}
    moments = {"optimizer.exp_avg.head.weight": torch.ones(4, 4)}
    return Snapshot(weights, moments, {"fingerprint": fingerprint, "examples": examples})


def test_a_checkpoint_is_read_as_it_was_written(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "8", snapshot(8))
    read = load_checkpoint(tmp_path / "8")
    assert read is not None
    assert torch.equal(read.weights["head.weight"], snapshot(8).weights["head.weight"])
    assert read.state == snapshot(8).state


FILES = ["weights.safetensors", "training.safetensors", "state.json", "manifest.json"]


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("damage", ["truncated", "changed", "removed"])
def test_a_damaged_newest_checkpoint_falls_back_to_the_one_before(
    tmp_path: Path, file: str, damage: str
) -> None:
    for examples in (8, 16):
        save_checkpoint(tmp_path / str(examples), snapshot(examples))
    path = tmp_path / "16" / file
    content = path.read_bytes()
    if damage == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "changed":
        path.write_bytes(content[:-3] + b"xyz")
    else:
        path.unlink()
    newest = newest_checkpoint(tmp_path, "f")
    assert newest is not None
    assert newest.state["examples"] == 8


def test_checkpoints_of_another_training_do_not_fit(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "8", snapshot(8, "f"))
    save_checkpoint(tmp_path / "16", snapshot(16, "g"))
    newest = newest_checkpoint(tmp_path, "f")
    assert newest is not None
    assert newest.state["examples"] == 8
    assert newest_checkpoint(tmp_path, "h") is None


def test_the_last_two_and_the_weights_of_the_best_are_kept(tmp_path: Path) -> None:
    for examples in (8, 16, 24, 32, 40):
        save_checkpoint(tmp_path / str(examples), snapshot(examples))
    save_checkpoint(tmp_path / "partial", snapshot(44))
    tidy_checkpoints(tmp_path, {8: 0.1, 16: 0.9, 24: 0.2, 32: 0.3, 40: 0.4})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["16", "32", "40"]
    assert load_checkpoint(tmp_path / "16") is None
    assert load_trained(tmp_path / "16") is not None
    assert load_checkpoint(tmp_path / "32") is not None
