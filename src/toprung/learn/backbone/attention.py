"""Attention and dropout for training on a CPU; elsewhere they are torch's own."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask
from transformers.modeling_utils import AttentionInterface

NAME = "toprung"
_LEVELS = 256


class Dropout(nn.Dropout):
    """Dropout whose rate is a multiple of 1/256 on a CPU, and three times as quick there."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        if not self.training or input.device.type != "cpu":
            return super().forward(input)
        return drop(input, self.p)


def drop(values: torch.Tensor, rate: float) -> torch.Tensor:
    """Zeroes a share of values and scales the rest, so that the mean stays.

    One random byte a value decides, instead of one draw of a float: the rate is rounded to a
    multiple of 1/256, and the scale is that of the rounded rate. Draws from torch's generator.

    >>> drop(torch.ones(4), 0.0)
    tensor([1., 1., 1., 1.])
    """
    level = round(rate * _LEVELS)
    if rate > 0.0:
        level = max(1, level)
    if level == 0:
        return values
    if level >= _LEVELS:
        return values * 0.0
    count = values.numel()
    words = torch.empty((count + 7) // 8, dtype=torch.int64).random_(-(2**63), None)
    drawn = words.view(torch.uint8)[:count].view(values.shape)
    # 1 from ``level`` on, else 0; a comparison would take three times as long.
    kept = drawn.clamp_(level - 1, level).sub_(level - 1)
    return values * kept.to(values.dtype).mul_(_LEVELS / (_LEVELS - level))


def attend(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **others: Any,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Attention as transformers asks for it, (B, heads, T, D) → (B, T, heads, D).

    In training on a CPU the plain formula, because the fused kernel there has a backward pass
    that takes 2 to 10 times as long in bfloat16, and because most of its time is dropout in
    either precision; everywhere else torch's own.
    """
    half = query.dtype == torch.bfloat16
    odd = any(others.get(name) is not None for name in ("softcap", "position_bias", "cache"))
    trained = module.training and query.device.type == "cpu" and torch.is_grad_enabled()
    if odd or not trained or not (half or dropout):
        return sdpa_attention_forward(
            module,
            query,
            key,
            value,
            attention_mask,
            dropout=dropout,
            scaling=scaling,
            **others,
        )
    # Autocast would take the softmax to float32 and back; its own sums are in float32 anyway.
    with torch.autocast("cpu", enabled=False):
        scale = query.shape[-1] ** -0.5 if scaling is None else scaling
        scores = torch.matmul(query * scale, key.transpose(2, 3))
        if attention_mask is not None:
            scores = scores + _additive(attention_mask, query.dtype)
        weights = drop(softmax(scores), dropout)
        found = torch.matmul(weights, value.to(weights.dtype))
    return found.transpose(1, 2).contiguous(), None


def softmax(scores: torch.Tensor) -> torch.Tensor:
    """As torch's own over the last dimension, in training on a CPU.

    torch goes along a row in vectors of 16 numbers in float32 and 32 in bfloat16 (half as many
    without AVX-512), and takes what is left of it one by one, which for the texts of most trials
    is all of it. So rows that leave much go through float32, and rows below a vector of that
    through operations that go along all rows at once: up to 7 times as quick.
    """
    found: torch.Tensor = _Softmax.apply(scores)  # type: ignore[no-untyped-call]
    return found


class _Softmax(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, scores: torch.Tensor) -> torch.Tensor:
        vector, width = _vector(scores.dtype), scores.shape[-1]
        if width < _vector(torch.float32):
            single = scores.float()
            powers = (single - single.amax(-1, keepdim=True)).exp_()
            found = powers.div_(powers.sum(-1, keepdim=True)).to(scores.dtype)
        elif width % vector > vector // 8:
            found = torch.softmax(scores.float(), -1).to(scores.dtype)
        else:
            found = torch.softmax(scores, -1)
        ctx.save_for_backward(found)
        return found

    @staticmethod
    def backward(ctx: Any, *given: torch.Tensor) -> torch.Tensor:
        (upper,), (weights,) = given, ctx.saved_tensors
        width, dtype = weights.shape[-1], weights.dtype
        if width < _vector(dtype):
            upper, weights = upper.float(), weights.float()
        found: torch.Tensor
        if width < _vector(torch.float32):
            parts = upper * weights
            found = parts.addcmul_(weights, parts.sum(-1, keepdim=True), value=-1)
        else:
            found = torch.ops.aten._softmax_backward_data(upper, weights, -1, weights.dtype)
        return found.to(dtype)


def _vector(dtype: torch.dtype) -> int:
    """Numbers that torch takes at once on this CPU."""
    wide = torch.backends.cpu.get_cpu_capability() == "AVX512"
    return (64 if wide else 32) // dtype.itemsize


def _additive(mask: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    if mask.dtype != torch.bool:
        return mask.to(dtype)
    lowest = torch.finfo(dtype).min
    return torch.zeros(mask.shape, dtype=dtype).masked_fill_(mask.logical_not(), lowest)


AttentionInterface.register(NAME, attend)
AttentionMaskInterface.register(NAME, sdpa_mask)
