"""A frozen matrix and its low-rank update in one step, where our own product is taken."""

from __future__ import annotations

from typing import Any

import torch
from peft.tuners.lora import Linear as LoraLinear
from torch import nn

from toprung.learn.backbone.linear import Linear, product_dtype, to_above, to_below


class Adapted(LoraLinear):
    """PEFT's layer, quicker on a CPU: W x + b + scale · B A x, with one gradient for all of it.

    PEFT's own rounds and casts between the parts: a quarter to a third of the layer's time. What
    comes out differs by rounding. Wherever that is not what the layer does, such as where it is
    merged or has a dropout of its own, it is PEFT's.
    """

    def forward(self, x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        """(..., in) → (..., out), in the dtype of autocast where it is on."""
        base, active = self.base_layer, self.active_adapters
        plain = not (args or kwargs or self.disable_adapters or self.merged or self.lora_variant)
        if plain and isinstance(base, Linear) and len(active) == 1:
            (name,) = active
            half = product_dtype(x, base.weight)
            own = isinstance(self.lora_dropout[name], nn.Identity) and not self.lora_bias[name]
            if own and half is not None and not base.weight.requires_grad:
                down, up = self.lora_A[name].weight, self.lora_B[name].weight
                found: torch.Tensor = _Adapt.apply(  # type: ignore[no-untyped-call]
                    x.to(half), base.weight, base.bias, down, up, self.scaling[name]
                )
                return found
        result: torch.Tensor = super().forward(x, *args, **kwargs)
        return result


class _Adapt(torch.autograd.Function):
    """The update is added within its product, in float32, and rounded once."""

    @staticmethod
    def forward(
        ctx: Any,
        states: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        down: torch.Tensor,
        up: torch.Tensor,
        scale: float,
    ) -> torch.Tensor:
        found = to_above(states, weight, bias)
        flat, own_down, own_up = states.flatten(0, -2), down.to(weight.dtype), up.to(weight.dtype)
        low = torch.mm(flat, own_down.t())
        found.flatten(0, -2).addmm_(low, own_up.t(), alpha=scale)
        ctx.save_for_backward(weight, flat, low, own_down, own_up)
        ctx.scale = scale
        return found

    @staticmethod
    def backward(ctx: Any, *given: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (upper,) = given
        weight, flat, low, down, up = ctx.saved_tensors
        above = upper.flatten(0, -2)
        update = torch.mm(above, up)
        to_states = None
        if ctx.needs_input_grad[0]:
            to_states = to_below(upper, weight)
            to_states.flatten(0, -2).addmm_(update, down, alpha=ctx.scale)
        to_down = torch.mm(update.t(), flat).float().mul_(ctx.scale)
        to_up = torch.mm(above.t(), low).float().mul_(ctx.scale)
        return to_states, None, None, to_down, to_up, None
