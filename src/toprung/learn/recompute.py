"""Activations that are computed again in the backward pass instead of being kept."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint


def recompute_activations(model: nn.Module) -> int:
    """Has every layer keep its input alone for the backward pass; returns how many layers.

    A layer is a member of a list of modules that holds no such list itself. What is computed is
    the same, dropout included, for about a third more time.

    Source: Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost".

    >>> recompute_activations(nn.Sequential(nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2)])))
    2
    """
    layers = [
        layer
        for parent in model.modules()
        if isinstance(parent, nn.ModuleList)
        for layer in parent
        if not any(isinstance(part, nn.ModuleList) for part in layer.modules())
    ]
    for layer in layers:
        vars(layer)["forward"] = partial(_forward, layer.forward)
    return len(layers)


def _forward(whole: Any, *args: Any, **options: Any) -> Any:
    if not torch.is_grad_enabled():
        return whole(*args, **options)
    return checkpoint(whole, *args, use_reentrant=False, **options)
