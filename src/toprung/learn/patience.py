"""When a trial has waited long enough for a better score, and its best weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

Tensors = dict[str, torch.Tensor]


class Patience:
    """The best score so far, its weights, and how many reports it is old.

    Args:
        reports: without a better score after which training ends; None never ends it, and keeps
            no weights.

    >>> patience = Patience(2)
    >>> for score in (0.5, 0.4, 0.45):
    ...     patience.hear(score, {})
    >>> patience.ended, patience.best
    (True, 0.5)
    """

    def __init__(self, reports: int | None) -> None:
        self.reports = reports
        self.best = -math.inf
        self.ended = False
        self._rows = 0
        self._waited = 0
        self._weights: Tensors = {}

    def hear(self, score: float, weights: Mapping[str, torch.Tensor], *, rows: int = 0) -> None:
        """One more report's score, higher for better, and the weights that it is of.

        Scores of fewer held-out rows are no measure for one of more: waiting begins anew.
        """
        if self.reports is None or self.ended:
            return
        if score > self.best or rows > self._rows:
            self.best, self._rows, self._waited = score, rows, 0
            self._weights = {name: tensor.detach().clone() for name, tensor in weights.items()}
        else:
            self._waited += 1
            self.ended = self._waited >= self.reports

    def give_back(self, parameters: Mapping[str, nn.Parameter]) -> None:
        """Copies the best weights into the model's parameters."""
        with torch.no_grad():
            for name, parameter in parameters.items():
                parameter.copy_(self._weights[name])

    def tensors(self) -> Tensors:
        """The best weights, as a checkpoint keeps them."""
        return self._weights

    def state(self) -> dict[str, Any]:
        """The rest of what a checkpoint keeps; nothing where nothing is waited for."""
        if self.reports is None:
            return {}
        best = self.best if math.isfinite(self.best) else None
        waited = {"rows": self._rows, "waited": self._waited, "ended": self.ended}
        return {"patience": {"best": best, **waited}}

    def restore(self, state: Mapping[str, Any], weights: Tensors) -> None:
        """Goes on from what a checkpoint kept."""
        kept = state.get("patience")
        if kept is not None:
            self.best = -math.inf if kept["best"] is None else float(kept["best"])
            self._waited, self.ended = int(kept["waited"]), bool(kept["ended"])
            self._rows = int(kept.get("rows", 0))
            self._weights = dict(weights)
