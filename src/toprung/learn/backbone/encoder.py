"""A trial's encoder: the first layers of a backbone, whose frozen weights it shares."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn
from torch.utils.weak import WeakIdKeyDictionary

from toprung.core.errors import FixSpec, Problem
from toprung.learn.backbone.attention import NAME, Dropout
from toprung.learn.backbone.card import Card
from toprung.learn.backbone.linear import Linear

_HALVES: Any = WeakIdKeyDictionary()
_WIDTH = 16


class Encoder(nn.Module):
    """Token ids to token vectors, with the first ``depth`` layers of a backbone.

    The structure is the trial's own; every parameter is the backbone's until ``own`` replaces it
    by a trainable copy, so that trials and ensemble members hold frozen weights once.

    Parts without trainable weights stay in ``eval`` mode, so that what they compute for a text
    is always the same.

    Attributes:
        frozen_layers: how many of the lowest layers, and the embeddings below them, hold nothing
            trainable; known after ``split``, and 0 where the embeddings are trained.

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
        self.max_length = card.max_length
        self.depth = card.layers if depth is None else depth
        self.frozen_layers = 0
        if not 1 <= self.depth <= len(self.layers):
            text = f"{depth} is not from 1 to {len(self.layers)}, the layers of {card.name}."
            raise FixSpec(card.name, [Problem(f"backbone.{card.name}.depth", text)])
        self._cut()
        self._quicken()

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

    def _quicken(self) -> None:
        """Puts our own parts in the place of torch's, where those are the plain ones."""
        config = self.model.config
        if config._attn_implementation == "sdpa":
            config._attn_implementation = NAME
        for module in list(self.model.modules()):
            for name, part in list(module.named_children()):
                if type(part) is nn.Dropout:
                    setattr(module, name, Dropout(part.p).train(part.training))
                if type(part) is nn.Linear:
                    setattr(module, name, Linear.of(part))

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

    def split(self) -> None:
        """Finds the frozen lower part; called once, when the adapter has been applied."""
        trained = [self.level(f"model.{n}") for n, p in self.model.named_parameters()
                   if p.requires_grad]  # fmt: skip
        self.frozen_layers = min(trained, default=self.depth + 1) - 1
        # A convolution beside the lowest layer (DeBERTa v2 xlarge) cannot be split off.
        if self.frozen_layers < 1 or any("conv" in n for n, _ in self.model.named_modules()):
            self.frozen_layers = 0
            return
        # In a tuple, so that torch does not see the same weights under three names.
        self._parts = (
            self.part(0, self.frozen_layers, embed=True),
            self.part(self.frozen_layers, self.depth, embed=False),
        )

    def part(self, first: int, last: int, *, embed: bool) -> Any:
        """The model with some of its layers only; every module in it is this encoder's own.

        Args:
            first, last: layers from ``first`` up to, not including, ``last``.
            embed: starts from token ids, and ends without the norm that follows the last layer;
                otherwise starts from token vectors.
        """
        instead = {"final_norm": nn.Identity()} if embed else {"embeddings": _Given()}
        node = root = _shallow(self.model)
        *parents, name = self.layers_path.split(".")
        for parent in parents:
            node._modules[parent] = _shallow(node._modules[parent])
            node = node._modules[parent]
        node._modules[name] = nn.ModuleList(list(self.layers)[first:last])
        if "embeddings" in instead and "embeddings_project" in root._modules:
            root._modules["embeddings_project"] = nn.Identity()
        for given, module in instead.items():
            if given in root._modules:
                root._modules[given] = module
        return root

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

    def lower(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Token vectors after the frozen layers, (rows, length, hidden); no gradient.

        Rows are padded to a multiple of 16 tokens, and there is always a mask. In float32 on one
        thread of a CPU, what comes out for a row then does not depend on the rows beside it, not
        in one bit: matrix products go over whole vectors, and attention takes the same path.
        """
        rows, width = ids.shape
        padded = min(-(-width // _WIDTH) * _WIDTH, max(width, self.max_length))
        ids = nn.functional.pad(ids, (0, padded - width))
        mask = nn.functional.pad(mask, (0, padded - width))
        if bool(mask.all()):
            # Without any padding, transformers leaves the mask out and attention sums otherwise.
            ids = torch.cat([ids, ids[:1]])
            mask = torch.cat([mask, nn.functional.pad(mask[:1, :1], (0, padded - 1))])
        with torch.no_grad():
            states: torch.Tensor = self._parts[0](
                input_ids=ids, attention_mask=mask
            ).last_hidden_state
        # As the cache gives them: of a view, the layers above would compute in other ways.
        return states[:rows, :width].contiguous()

    def upper(self, states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Token vectors from those after the frozen layers; shapes as of ``forward``."""
        if self.frozen_layers == self.depth:
            # Some encoders cannot run without any layer.
            norm = getattr(self.model, "final_norm", None)
            return states if norm is None else norm(states)
        found: torch.Tensor = self._parts[1](
            inputs_embeds=states, attention_mask=mask
        ).last_hidden_state
        return found


class _Given(nn.Module):
    """In the place of embeddings: the vectors as they were given."""

    def forward(self, *listed: Any, inputs_embeds: torch.Tensor | None = None, **_: Any) -> Any:
        # DistilBERT hands them over by position.
        return listed[1] if inputs_embeds is None else inputs_embeds


def _shallow(module: Any) -> Any:
    twin = copy.copy(module)
    twin._modules = dict(module._modules)
    return twin
