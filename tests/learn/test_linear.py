"""Matrices through oneDNN: the same results as torch's own way, where that is taken at all."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import nn

from toprung.learn.backbone import linear
from toprung.learn.backbone.card import find_card
from toprung.learn.backbone.encoder import Encoder
from toprung.learn.backbone.linear import Linear, has_half_products, has_quick_singles
from toprung.learn.backbone.load import load_backbone

SHAPES = [(1,), (3, 17), (2, 5, 9), (32, 128)]


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def passed(part: nn.Linear, states: torch.Tensor, upper: torch.Tensor) -> list[torch.Tensor]:
    """What comes out, and the gradient of everything that has one."""
    wanted = [states, *(p for p in part.parameters() if p.requires_grad)]
    found = part(states)
    return [found, *torch.autograd.grad(found, wanted, upper)]


@pytest.mark.skipif(not has_half_products(), reason="this CPU has no bfloat16")
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.usefixtures("threads")
def test_bfloat16_has_the_bits_of_torchs_own(shape: tuple[int, ...], count: int) -> None:
    torch.set_num_threads(count)
    own = nn.Linear(48, 80).bfloat16().requires_grad_(False)
    states = torch.randn(*shape, 48, requires_grad=True)
    upper = torch.randn(*shape, 80, dtype=torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        pairs = list(
            zip(passed(own, states, upper), passed(Linear.of(own), states, upper), strict=True)
        )
    assert [found.dtype for _, found in pairs] == [torch.bfloat16, torch.float32]
    assert all(torch.equal(right, found) for right, found in pairs)


@pytest.mark.parametrize("trained", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_float32_differs_from_torchs_own_by_rounding(
    shape: tuple[int, ...], bias: bool, trained: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[int] = []
    times = linear._times
    monkeypatch.setattr(linear, "has_quick_singles", lambda: linear._is_there())
    monkeypatch.setattr(linear, "_times", lambda *given: (taken.append(1), times(*given))[1])
    own = nn.Linear(48, 80, bias).requires_grad_(trained)
    states = torch.randn(*shape, 48, requires_grad=True)
    upper = torch.randn(*shape, 80)
    for right, found in zip(
        passed(own, states, upper), passed(Linear.of(own), states, upper), strict=True
    ):
        assert (found - right).abs().max() <= 1e-5 * right.abs().max()
    assert bool(taken) == linear._is_there()


def test_float32_is_left_to_mkl_but_on_amd_with_avx512(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear, "_is_there", lambda: True)
    for maker, width, quick in (
        ("AuthenticAMD", "AVX512", True),
        ("AuthenticAMD", "AVX2", False),
        ("GenuineIntel", "AVX512", False),
        ("", "AVX512", False),
    ):
        monkeypatch.setattr(linear, "_maker", lambda maker=maker: maker)
        monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda width=width: width)
        assert has_quick_singles.__wrapped__() is quick


def test_an_encoder_has_no_other_matrices_and_shares_their_weights() -> None:
    card = find_card("minilm")
    backbone = load_backbone(card).encoder
    encoder = Encoder(backbone, card)
    parts = [part for part in encoder.model.modules() if isinstance(part, nn.Linear)]
    assert parts
    assert {type(part) for part in parts} == {Linear}
    shared = {id(parameter) for parameter in backbone.parameters()}
    assert {id(p) for part in parts for p in part.parameters()} <= shared
