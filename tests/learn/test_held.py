"""Vectors in a device's memory are those of the cache; a CPU stands in for the device."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from toprung.learn import inputs
from toprung.learn.batches import Rows
from toprung.learn.held import Held, hold
from toprung.learn.prefix import Prefix
from toprung.learn.tokens import Tokens
from toprung.learn.trainer import Trainer
from toprung.trial.config import Assignment

CPU = torch.device("cpu")
ENOUGH = 10**6
LENGTHS = [5, 1, 40, 17, 17, 3]


def lower(ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    return torch.stack([ids.float(), 0.1 - ids.float()], dim=-1) * mask[..., None]


def half(ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    return lower(ids, mask).bfloat16()


def filled(folder: Path, dtype: torch.dtype = torch.float32) -> Prefix:
    offsets = np.concatenate([[0], np.cumsum(LENGTHS)]).astype(np.int64)
    tokens = Tokens(np.arange(1, offsets[-1] + 1, dtype=np.int32), offsets, "key")
    prefix = Prefix(folder, tokens, hidden=2, dtype=dtype, padding=0)
    prefix.fill(half if dtype == torch.bfloat16 else lower, CPU)
    return prefix


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_rows_have_the_bits_of_the_cache(tmp_path: Path, dtype: torch.dtype) -> None:
    prefix = filled(tmp_path, dtype)
    held = hold(prefix, CPU, ENOUGH)
    assert held is not None
    for rows in ([0], [2, 0, 5, 2], [1], list(range(6))):
        expected = prefix.take(np.array(rows), lower, CPU)
        found = held.take(np.array(rows))
        assert found.dtype == dtype
        assert torch.equal(found, expected)


def test_what_does_not_fit_is_not_held(tmp_path: Path) -> None:
    prefix = filled(tmp_path)
    needed = (sum(LENGTHS) + 1) * 2 * 4
    assert hold(prefix, CPU, needed - 1) is None
    assert hold(prefix, CPU, needed) is not None


def test_all_runs_of_a_process_share_one_copy_as_long_as_one_needs_it(tmp_path: Path) -> None:
    prefix = filled(tmp_path)
    first = hold(prefix, CPU, ENOUGH)
    assert hold(filled(tmp_path), CPU, 0) is first
    del first
    gc.collect()
    assert hold(prefix, CPU, 0) is None


def test_a_trial_on_held_vectors_is_the_same_trial(
    trainer: Callable[..., Trainer],
    assign: Callable[..., Assignment],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    values: dict[str, Any] = {"adapter": "lora", "adapter__lora__layers": "top_third"}
    expected = trainer()
    list(expected(assign(**values)))
    given: list[int] = []
    take = Held.take

    def counted(held: Held, rows: Rows) -> torch.Tensor:
        given.append(len(rows))
        return take(held, rows)

    monkeypatch.setattr(Held, "take", counted)
    monkeypatch.setattr(inputs, "free_bytes", lambda device, gpus: ENOUGH)
    plan = trainer(folder=tmp_path / "held")
    list(plan(assign(**values)))
    assert sum(given) >= 180
    name = "t0001/checkpoints/180/weights.safetensors"
    ours, theirs = load_file(plan.folder / name), load_file(expected.folder / name)
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
