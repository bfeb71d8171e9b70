"""A trial's encoder: the first layers of a backbone, whose frozen weights it shares."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn
from torch.utils.weak import WeakIdKeyDictionary

from toprung.core.errors import FixSpec, Problem
from toprung.learn.backbone.card import Card

_HALVES: Any = WeakIdKeyDictionary()


class Encoder(nn.Module):
    """Token ids to token vectors, with the first ``depth`` layers of a backbone.

    The structure is the trial's own; every parameter is the backbone's until ``own`` replaces it
    by a trainable copy, so that trials and ensemble members hold frozen weights once.

    Parts without trainable weights stay in ``eval`` mode, so that what they compute for a text
    is always the same.

    Args:
        backbone: whole encoder, nothing trainable.
        card: its card.
        depth: layers to keep; None keeps all.

    Raises:
        FixSpec: the backbone has fewer layers.
    """

    def __init__(self, backbone: nn.Module, card: Card, depth: int | None = None) -> None:
        super().__init__()
        shared = {id(p): p for p in backbone.parameters()}
        self.model: Any = copy.deepcopy(backbone, shared)
        self.layers_path = card.layers_path
        self.lora_targets = card.lora_targets
        self.hidden = card.hidden
        self.depth = card.layers if depth is None else depth
        if not 1 <= self.depth <= len(self.layers):
            text = f"{depth} is not from 1 to {len(self.layers)}, the layers of {card.name}."
            raise FixSpec(card.name, [Problem(f"backbone.{card.name}.depth", text)])
        self._cut()

    @property
    def layers(self) -> nn.ModuleList:
        """The transformer layers, lowest first."""
        found = self.model.get_submodule(self.layers_path)
        assert isinstance(found, nn.ModuleList)
        return found

    def _cut(self) -> None:
        parent, _, name = self.layers_path.rpartition(".")
        kept = nn.ModuleList(list(self.layers)[: self.depth])
        setattr(self.model.get_submodule(parent), name, kept)
        config = self.model.config
        config.num_hidden_layers = self.depth
        if getattr(config, "layer_types", None):
            config.layer_types = list(config.layer_types)[: self.depth]

    def set_dropout(self, rate: float) -> None:
        """Sets every dropout of the layers, of hidden states and of attention, to one rate."""
        for module in self.model.modules():
            if isinstance(module, nn.Dropout):
                module.p = rate
            if isinstance(getattr(module, "attention_dropout", None), float):
                module.attention_dropout = rate

    def own(self, module: nn.Module) -> None:
        """Replaces the parameters of a part by trainable copies of this encoder's own."""
        for part in module.modules():
            for name, parameter in list(part.named_parameters(recurse=False)):
                setattr(part, name, nn.Parameter(parameter.detach().clone()))

    def halve(self) -> None:
        """Keeps frozen linear weights in bfloat16, one copy for all encoders of a backbone.

        Autocast would round them so at every step; the results are the same bits.
        """
        for module in self.model.modules():
            if isinstance(module, nn.Linear):
                for name, parameter in list(module.named_parameters(recurse=False)):
                    if not parameter.requires_grad:
                        if parameter not in _HALVES:
                            _HALVES[parameter] = nn.Parameter(parameter.bfloat16(), False)
                        setattr(module, name, _HALVES[parameter])

    def train(self, mode: bool = True) -> Encoder:
        """Switches the parts that have trainable weights; frozen ones stay in ``eval`` mode."""
        super().train(False)
        self.training = mode
        if mode:
            for name, module in self.model.named_modules():
                holds_layers = f"{self.layers_path}.".startswith(f"{name}." if name else "")
                if not holds_layers and any(p.requires_grad for p in module.parameters()):
                    in_layer = name.startswith(f"{self.layers_path}.")
                    if not in_layer or name.count(".") == self.layers_path.count(".") + 1:
                        module.train(True)
        return self

    def level(self, name: str) -> int:
        """How high a parameter stands: 0 for embeddings, 1 for the lowest layer, and so on."""
        prefix = f"model.{self.layers_path}."
        if name.startswith(prefix):
            return int(name[len(prefix) :].partition(".")[0]) + 1
        return self.depth if "final_norm" in name else 0

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Token vectors.

        Args:
            ids: (rows, length) int64.
            mask: (rows, length) int64; 1 for a token, 0 for padding.

        Returns:
            (rows, length, hidden), in the precision of autocast where it is on.
        """
        states: torch.Tensor = self.model(input_ids=ids, attention_mask=mask).last_hidden_state
        return states
