"""What training windows are changed by: modalities that are left out, and moves in time."""

from __future__ import annotations

import math

import torch

from toprung.learn.series.model import drop_modalities, move_in_time


def test_modality_dropout_never_leaves_a_window_without_any() -> None:
    torch.manual_seed(3)
    present = torch.rand(4000, 3) < 0.6
    present[:, 0] |= ~present.any(dim=1)
    kept = drop_modalities(present, 0.9)
    assert kept.any(dim=1).all()
    assert not (kept & ~present).any()
    every = drop_modalities(torch.ones(20000, 3).bool(), 0.3)
    # 0.7, and the share of windows that would have lost all three and keep one.
    assert math.isclose(float(every.float().mean()), 0.7 + 0.3**3 / 3, abs_tol=0.01)
    assert torch.equal(drop_modalities(present, 0.0), present)


def test_all_modalities_of_a_window_move_alike_in_time() -> None:
    torch.manual_seed(0)
    slow = torch.arange(20.0).expand(500, 20)[..., None]
    fast = torch.arange(40.0).expand(500, 40)[..., None]
    one, two = move_in_time([slow, fast], 0.2)
    moved = one[:, 10, 0] - 10
    assert set(moved.tolist()) == {float(n) for n in range(-4, 5)}
    assert (two[:, 20, 0] - 20 - 2 * moved).abs().max() <= 1
    for window, far in zip(one[:, :, 0], moved, strict=True):
        assert torch.equal(window, (torch.arange(20.0) + far).clamp(0, 19))
    before = torch.get_rng_state()
    assert move_in_time([slow], 0.0)[0] is slow
    assert torch.equal(torch.get_rng_state(), before)
