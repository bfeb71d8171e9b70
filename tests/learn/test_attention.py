from __future__ import annotations

import pytest
import torch
from torch import nn
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from toprung.learn.backbone.attention import Dropout, attend, drop, softmax

BATCH, HEADS, LENGTH, WIDTH = 3, 2, 7, 8


def heads(dtype: torch.dtype) -> list[torch.Tensor]:
    torch.manual_seed(0)
    shape = (BATCH, HEADS, LENGTH, WIDTH)
    return [torch.randn(shape).to(dtype).requires_grad_() for _ in range(3)]


def mask() -> torch.Tensor:
    kept = torch.ones(BATCH, 1, LENGTH, LENGTH, dtype=torch.bool)
    kept[1, :, :, 4:] = False
    return kept


@pytest.mark.parametrize("masked", [True, False])
def test_the_plain_formula_equals_the_fused_kernel_forward_and_backward(masked: bool) -> None:
    module = nn.Module().train()
    found, expected = heads(torch.bfloat16), heads(torch.float32)
    keeps = mask() if masked else None
    ours = attend(module, *found, keeps)[0]
    theirs = sdpa_attention_forward(module, *expected, keeps, is_causal=False)[0]
    assert torch.allclose(ours.float(), theirs, atol=3e-2)
    ours.float().pow(2).sum().backward()
    theirs.pow(2).sum().backward()
    for one, other in zip(found, expected, strict=True):
        assert one.grad is not None
        assert other.grad is not None
        assert torch.allclose(one.grad.float(), other.grad, atol=0.15)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("width", [1, 3, 7, 8, 15, 16, 17, 24, 31, 32, 33, 36, 37, 63, 64, 100])
def test_softmax_is_torchs_own_for_rows_of_every_width(width: int, dtype: torch.dtype) -> None:
    torch.manual_seed(width)
    scores = (4 * torch.randn(2, 3, 5, width)).to(dtype).requires_grad_()
    upper = torch.randn(2, 3, 5, width).to(dtype)
    with torch.no_grad():
        scores[0, 0, 0, 1:] = torch.finfo(dtype).min  # padding
        scores[0, 0, 1] += 1000.0  # beyond what an exponential holds
    found = softmax(scores)
    (gradient,) = torch.autograd.grad(found, scores, upper)
    exact = scores.detach().double().requires_grad_()
    right = torch.softmax(exact, -1)
    (wanted,) = torch.autograd.grad(right, exact, upper.double())
    assert found.dtype == gradient.dtype == dtype
    rounding = torch.finfo(dtype).eps
    assert (found.double() - right).abs().max() <= 2 * rounding
    assert (gradient.double() - wanted).abs().max() <= 10 * rounding


@pytest.mark.parametrize("rate", [0.05, 0.1, 0.5])
def test_dropout_zeroes_its_share_and_keeps_the_mean(rate: float) -> None:
    torch.manual_seed(0)
    found = drop(torch.ones(400, 1000), rate)
    assert float((found == 0).float().mean()) == pytest.approx(round(rate * 256) / 256, abs=3e-3)
    assert float(found.mean()) == pytest.approx(1, abs=5e-3)
    # Neither rows nor columns are favoured: each byte of a drawn word is as random as the next.
    assert float((found == 0).float().mean(dim=0).std()) < 0.04


def test_a_small_rate_still_drops_and_a_rate_of_one_drops_all() -> None:
    torch.manual_seed(0)
    assert 0 < int((drop(torch.ones(100_000), 1e-4) == 0).sum()) < 1000
    assert not drop(torch.ones(10), 1.0).any()


def test_dropout_depends_on_the_seed_alone_and_only_trains() -> None:
    layer, values = Dropout(0.3), torch.ones(50)
    torch.manual_seed(5)
    first = layer(values)
    torch.manual_seed(5)
    assert torch.equal(first, layer(values))
    assert torch.equal(layer.eval()(values), values)
