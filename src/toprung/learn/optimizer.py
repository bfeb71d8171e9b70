"""AdamW in groups: no decay of biases and norms, lower rates for lower layers."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import torch
from torch import nn

from toprung.learn.model import Model
from toprung.learn.schedules._base import Schedule
from toprung.learn.settings import Settings

_HUNDREDTHS = 100


class Optimizer:
    """AdamW (Loshchilov and Hutter 2019) and the learning rate of each step.

    Args:
        model: whose trainable parameters are moved.
        settings: rate, decays, warm-up and the longest gradient.
        schedule: after the warm-up.
        total: examples of the largest resource, where the schedule ends.
    """

    def __init__(self, model: Model, settings: Settings, schedule: Schedule, total: int) -> None:
        self.parameters = model.trainable()
        self.settings = settings
        self.schedule = schedule
        self.total = total
        self.rate = 0.0
        self.adamw = torch.optim.AdamW(
            _groups(model, settings), lr=settings.learning_rate, fused=True
        )

    def step(self, examples: int, rows: int) -> None:
        """One step with the gradients at hand.

        Args:
            examples: seen before this step.
            rows: of this step; the rate is that of the step's middle, so that it is never 0.
        """
        progress = min(1.0, (examples + rows / 2) / self.total)
        warmup = self.settings.warmup
        if progress < warmup:
            scale = progress / warmup
        else:
            scale = self.schedule.scale((progress - warmup) / max(1e-9, 1.0 - warmup))
        self.rate = self.settings.learning_rate * scale
        for group in self.adamw.param_groups:
            group["lr"] = self.rate * group["factor"]
        nn.utils.clip_grad_norm_(self.parameters.values(), self.settings.max_grad_norm)
        self.adamw.step()
        self.adamw.zero_grad(set_to_none=True)

    def passes_hundredth(self, before: int, after: int) -> bool:
        """Whether a step completes one more hundredth of the largest resource."""
        return before * _HUNDREDTHS // self.total < after * _HUNDREDTHS // self.total

    def state(self) -> dict[str, torch.Tensor]:
        """Moments and step counts as named tensors."""
        kept: dict[str, torch.Tensor] = {}
        for name, parameter in self.parameters.items():
            for key, value in self.adamw.state.get(parameter, {}).items():
                kept[f"{key}.{name}"] = value
        return kept

    def restore(self, tensors: dict[str, torch.Tensor]) -> None:
        """Goes on with kept moments and step counts."""
        for name, parameter in self.parameters.items():
            state: dict[str, Any] = {}
            for key in ("step", "exp_avg", "exp_avg_sq"):
                if f"{key}.{name}" in tensors:
                    state[key] = tensors[f"{key}.{name}"].to(parameter.device, copy=True)
            if state:
                self.adamw.state[parameter] = state


def _groups(model: Model, settings: Settings) -> list[dict[str, Any]]:
    groups: dict[tuple[float, float], list[nn.Parameter]] = defaultdict(list)
    for name, parameter in model.trainable().items():
        factor = settings.layer_decay ** model.below_top(name)
        decay = settings.weight_decay if parameter.ndim > 1 else 0.0
        groups[factor, decay].append(parameter)
    return [
        {"params": members, "factor": factor, "weight_decay": decay}
        for (factor, decay), members in groups.items()
    ]
