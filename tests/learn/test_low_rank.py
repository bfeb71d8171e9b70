"""A low-rank update and its matrix in one step: PEFT's results, but for rounding."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import Linear as LoraLinear
from torch import nn

from toprung.learn.backbone import linear, low_rank
from toprung.learn.backbone.linear import Linear, has_half_products
from toprung.learn.backbone.low_rank import Adapted

SHAPES = [(3,), (3, 17), (2, 5, 9), (32, 64)]


def adapted(half: bool, bias: bool = True, **options: Any) -> Adapted:
    """A layer of 48 to 80 numbers whose update is not nothing."""
    torch.manual_seed(0)
    model = nn.ModuleDict({"own": Linear.of(nn.Linear(48, 80, bias))}).requires_grad_(False)
    config = LoraConfig(r=4, lora_alpha=12, target_modules=["own"], **options)
    config._register_custom_module({Linear: Adapted})
    inject_adapter_in_model(config, model)
    found = model["own"]
    assert isinstance(found, Adapted)
    found.cast_input_dtype_enabled = False
    nn.init.normal_(found.lora_B["default"].weight, std=0.3)
    if half:
        found.base_layer.bfloat16()
    return found


def passed(part: Adapted, states: torch.Tensor, upper: torch.Tensor) -> list[torch.Tensor]:
    """What comes out, and the gradient of everything that has one."""
    wanted = [t for t in (states, *part.parameters()) if t.requires_grad]
    found = part(states)
    return [found, *torch.autograd.grad(found, wanted, upper)]


def count(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One for each time that our own step is taken."""
    taken: list[int] = []
    step = low_rank._Adapt.apply
    monkeypatch.setattr(low_rank._Adapt, "apply", lambda *given: (taken.append(1), step(*given))[1])
    return taken


@pytest.mark.parametrize("deepest", [True, False])
@pytest.mark.parametrize("half", [True, False])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_it_differs_from_pefts_own_by_rounding(
    shape: tuple[int, ...], bias: bool, half: bool, deepest: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if half and not has_half_products():
        pytest.skip("this CPU has no bfloat16")
    monkeypatch.setattr(linear, "has_quick_singles", lambda: linear._is_there())
    taken = count(monkeypatch)
    part = adapted(half, bias)
    states = torch.randn(*shape, 48, requires_grad=not deepest)
    dtype = torch.bfloat16 if half else torch.float32
    upper = torch.randn(*shape, 80).to(dtype)
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        found = passed(part, states, upper)
        assert bool(taken) == linear._is_there()
        monkeypatch.setattr(Adapted, "forward", LoraLinear.forward)
        right = passed(part, states, upper)
    assert [f.dtype for f in found] == [dtype] + [torch.float32] * (len(right) - 1)
    for one, other in zip(found, right, strict=True):
        error = (one.float() - other.float()).abs().max() / other.float().abs().max()
        assert error <= (0.015 if half else 1e-5)


def test_it_rounds_less_than_peft_does(monkeypatch: pytest.MonkeyPatch) -> None:
    if not has_half_products():
        pytest.skip("this CPU has no bfloat16")
    part, states = adapted(half=True), torch.randn(400, 48).bfloat16().float()
    with torch.no_grad():
        with torch.autocast("cpu", torch.bfloat16):
            found = part(states)
            monkeypatch.setattr(Adapted, "forward", LoraLinear.forward)
            right = part(states)
        exact = part.float()(states)
    off = [(one.float() - exact).abs().mean() for one in (found, right)]
    assert off[0] < off[1]


def test_what_it_does_not_know_is_left_to_peft(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear, "has_quick_singles", lambda: linear._is_there())
    taken, states = count(monkeypatch), torch.randn(7, 48)
    with torch.no_grad():
        plain = adapted(half=False)
        base = plain.base_layer(states)
        update = plain(states) - base
        assert bool(taken) == linear._is_there()
        taken.clear()
        plain.enable_adapters(False)
        assert torch.equal(plain(states), base)
        plain.enable_adapters(True)
        plain.merge()
        assert torch.allclose(plain(states), base + update, atol=1e-5)
        plain.unmerge()
        dropped = adapted(half=False, lora_dropout=0.5).train()
        assert not torch.equal(dropped(states), dropped(states))
        plain.base_layer.weight.requires_grad_(True)
        assert torch.allclose(plain(states), base + update, atol=1e-5)
    assert not taken
