"""A member as plain transformers weights: its adapter merged, pooling and head apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft.tuners.lora import LoraLayer
from transformers import AutoModel

from toprung.learn.member import load_plain
from toprung.learn.model import Classifier

Weights = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Merged:
    """What a member is without toprung.

    Attributes:
        encoder: a transformers model of its own, float32, its adapter merged.
        head: weights of pooling and head, named ``pooling.…`` and ``head.…``.
        adapter: weights of the LoRA matrices by their names in PEFT's files; empty without LoRA.
        lora: options of the adapter, as PEFT's ``LoraConfig`` takes them.
        tokenizer: of the backbone.
        facts: what ``member.json`` says.
    """

    encoder: Any
    head: Weights
    adapter: Weights
    lora: Mapping[str, Any]
    tokenizer: Any
    facts: Mapping[str, Any]


def merge(path: Path) -> Merged:
    """The weights of a saved member in float32, on the CPU.

    Raises:
        FixEnvironment: the folder holds no sound member, or its backbone is another.
    """
    model, loaded, facts = load_plain(path)
    adapter = {
        f"base_model.model.{name.replace('.default', '')}": value.detach().clone().contiguous()
        for name, value in model.encoder.model.state_dict().items()
        if ".lora_A." in name or ".lora_B." in name
    }
    lora = _merge_lora(model)
    config = type(model.encoder.model.config).from_dict(model.encoder.model.config.to_dict())
    config._attn_implementation = "sdpa"
    with torch.random.fork_rng():
        plain: Any = AutoModel.from_config(config)  # type: ignore[no-untyped-call]
    missing, _ = plain.load_state_dict(model.encoder.model.state_dict(), strict=False)
    odd = [name for name in missing if "pooler" not in name and "position_ids" not in name]
    if odd:
        raise ValueError(f"the merged encoder lacks {', '.join(odd[:5])}")
    head = {
        name: value.detach().clone().contiguous()
        for name, value in model.state_dict().items()
        if name.startswith(("pooling.", "head."))
    }
    return Merged(plain.eval(), head, adapter, lora, loaded.tokenizer, facts)


def _merge_lora(model: Classifier) -> dict[str, Any]:
    """Puts each update into the weights beside it; tells what was merged."""
    encoder = model.encoder.model
    adapted = {n: m for n, m in encoder.named_modules() if isinstance(m, LoraLayer)}
    said: dict[str, Any] = {}
    for name, layer in adapted.items():
        said = {
            "r": layer.r["default"],
            "lora_alpha": layer.lora_alpha["default"],
            "target_modules": sorted(adapted),
            "bias": "none",
        }
        # The frozen weights beside the update are the backbone's, which others use.
        model.encoder.own(layer.get_base_layer())
        layer.merge()
        parent, _, last = name.rpartition(".")
        setattr(encoder.get_submodule(parent), last, layer.get_base_layer())
    return said
