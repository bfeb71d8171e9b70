"""Matrices of an encoder through oneDNN on a CPU, where torch's own way to them is slower."""

from __future__ import annotations

import platform
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.utils.weak import WeakIdKeyDictionary

_PACKED: Any = WeakIdKeyDictionary()
_TURNED: Any = WeakIdKeyDictionary()


class Linear(nn.Linear):
    """``nn.Linear`` of a trial's encoder, whose weights are frozen or, in float32, trained.

    In bfloat16 the bias is added within the product, and frozen weights are brought into oneDNN's
    own order once instead of at every step, where several threads share a product: the results
    are the same bits. In float32 it is taken where torch would call MKL on a CPU on which MKL
    does without AVX-512. Everywhere else it is torch's own.
    """

    @classmethod
    def of(cls, part: nn.Linear) -> Linear:
        """A twin that holds the same parameters."""
        twin = cls(part.in_features, part.out_features, part.bias is not None, device="meta")
        twin.weight, twin.bias = part.weight, part.bias
        return twin.train(part.training)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """(..., in) → (..., out), in the dtype of autocast where it is on."""
        return linear(input, self.weight, self.bias)


def linear(
    states: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None
) -> torch.Tensor:
    """As torch's own, (..., in) and (out, in) → (..., out), the quicker way of the two."""
    dtype = product_dtype(states, weight)
    if dtype is None:
        return functional.linear(states, weight, bias)
    return _times(states.to(dtype), weight, bias)


def product_dtype(states: torch.Tensor, weight: torch.Tensor) -> torch.dtype | None:
    """What states are brought to for a product through oneDNN; None where torch's own is taken."""
    if states.device.type == "cpu" and not _is_drawn():
        half = torch.is_autocast_enabled("cpu")
        if half and weight.dtype == torch.bfloat16 and has_half_products():
            return torch.bfloat16
        single = states.dtype == weight.dtype == torch.float32
        if single and not half and has_quick_singles():
            return torch.float32
    return None


def to_above(states: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """oneDNN's product, (..., in) → (..., out); without a gradient."""
    return _product(states, _packed(weight, _PACKED), bias)


def to_below(upper: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """The gradient of the states from that of the product, (..., out) → (..., in)."""
    return _product(upper, _packed(weight, _TURNED), None)


@cache
def has_half_products() -> bool:
    """Whether oneDNN multiplies bfloat16 on this machine without emulating it."""
    return _is_there() and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


@cache
def has_quick_singles() -> bool:
    """Whether oneDNN multiplies float32 quicker than MKL does.

    By the CPU's maker and not by a clock, so that the same machine gives the same bits: MKL has
    AVX-512 for Intel's alone, which is half the speed on AMD's that have it (190 against 430
    GFLOP/s on two cores of Zen 5).
    """
    wide = torch.backends.cpu.get_cpu_capability() == "AVX512"
    return _is_there() and wide and _maker() == "AuthenticAMD"


def _is_there() -> bool:
    if platform.machine() not in ("x86_64", "AMD64"):
        return False
    ready: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return ready and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def _is_drawn() -> bool:
    """Whether a graph is being made of the model, such as for an export."""
    traced: bool = torch.jit.is_tracing()  # type: ignore[no-untyped-call, attr-defined]
    return traced or torch.compiler.is_compiling()


def _maker() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    makers = (line.partition(":")[2].strip() for line in lines if line.startswith("vendor_id"))
    return next(makers, "")


def _times(states: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """(..., in) → (..., out)."""
    found: torch.Tensor = _Times.apply(states, weight, bias)  # type: ignore[no-untyped-call]
    return found


class _Times(torch.autograd.Function):
    """What oneDNN's product has no gradient of its own for."""

    @staticmethod
    def forward(
        ctx: Any, states: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None
    ) -> torch.Tensor:
        _, trained, _ = ctx.needs_input_grad
        ctx.save_for_backward(weight, states if trained else None)
        return to_above(states, weight, bias)

    @staticmethod
    def backward(ctx: Any, *given: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (upper,) = given
        weight, states = ctx.saved_tensors
        to_states, to_weight, to_bias = ctx.needs_input_grad
        flat = upper.flatten(0, -2)
        return (
            to_below(upper, weight) if to_states else None,
            _product(flat.t(), states.flatten(0, -2).t(), None) if to_weight else None,
            flat.sum(0) if to_bias else None,
        )


def _product(left: torch.Tensor, right: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """``left`` times the transposed ``right``."""
    found: torch.Tensor = torch.ops.mkldnn._linear_pointwise(left, right, bias, "none", [], "")
    return found


def _packed(weight: torch.Tensor, kept: Any) -> torch.Tensor:
    """A matrix for forward or, turned, for backward; in oneDNN's order where that pays."""
    turned = kept is _TURNED
    if weight.dtype != torch.bfloat16 or torch.get_num_threads() == 1:
        return weight.t() if turned else weight
    if weight not in kept:
        plain = weight.detach()
        plain = plain.t().contiguous() if turned else plain
        kept[weight] = torch.ops.mkldnn._reorder_linear_weight(plain)
    found: torch.Tensor = kept[weight]
    return found
