"""A member as plain transformers weights: its adapter merged, pooling and head apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig
from peft.tuners.lora import LoraLayer
from safetensors.torch import save_file
from torch import nn
from transformers import AutoModel

from toprung.learn.backbone.card import Card
from toprung.learn.backbone.encoder import Encoder
from toprung.learn.member import Member, load_plain

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
    """The weights of a saved member on texts, in float32, on the CPU.

    Raises:
        FixEnvironment: the folder holds no sound member, or its backbone is another.
    """
    member, facts = load_plain(path)
    assert isinstance(member, Member)
    adapter, lora = merge_lora(member.model.encoder.model)
    head = {
        name: value.detach().clone().contiguous()
        for name, value in member.model.state_dict().items()
        if name.startswith(("pooling.", "head."))
    }
    return Merged(plain_encoder(member.model.encoder), head, adapter, lora, member.tokenizer, facts)


def plain_encoder(encoder: Encoder) -> Any:
    """A transformers model with the weights of an encoder whose adapter is merged."""
    config = type(encoder.model.config).from_dict(encoder.model.config.to_dict())
    config._attn_implementation = "sdpa"
    with torch.random.fork_rng():
        plain: Any = AutoModel.from_config(config)  # type: ignore[no-untyped-call]
    missing, _ = plain.load_state_dict(encoder.model.state_dict(), strict=False)
    odd = [name for name in missing if "pooler" not in name and "position_ids" not in name]
    if odd:
        raise ValueError(f"the merged encoder lacks {', '.join(odd[:5])}")
    return plain.eval()


def merge_lora(model: nn.Module, prefix: str = "") -> tuple[Weights, dict[str, Any]]:
    """Puts each LoRA update into the weights beside it.

    Args:
        model: changed in place; weights that it shares with others stay as they are.
        prefix: of its names, within the whole that an adapter is for.

    Returns:
        The updates by their names in PEFT's files, and the options that PEFT's ``LoraConfig``
        takes; both empty without LoRA.
    """
    adapted = {n: m for n, m in model.named_modules() if isinstance(m, LoraLayer)}
    kept = {
        f"base_model.model.{prefix}{name.replace('.default', '')}": value.detach()
        .clone()
        .contiguous()
        for name, value in model.state_dict().items()
        if ".lora_A." in name or ".lora_B." in name
    }
    said: dict[str, Any] = {}
    for name, layer in adapted.items():
        said = {
            "r": layer.r["default"],
            "lora_alpha": layer.lora_alpha["default"],
            "target_modules": sorted(prefix + adapted_name for adapted_name in adapted),
            "bias": "none",
        }
        plain = layer.get_base_layer()
        # The frozen weights beside the update are the backbone's, which others use.
        for key, value in list(plain.named_parameters(recurse=False)):
            setattr(plain, key, nn.Parameter(value.detach().clone()))
        layer.merge()
        parent, _, last = name.rpartition(".")
        setattr(model.get_submodule(parent), last, plain)
    return kept, said


def write_adapter(
    folder: Path, weights: Weights, options: Mapping[str, Any], facts: Mapping[str, Any]
) -> str:
    """Writes the updates that ``merge_lora`` gave as PEFT reads them; says what they are for.

    Args:
        folder: new.
        weights, options: from ``merge_lora``.
        facts: what ``member.json`` says.
    """
    folder.mkdir()
    base = Card.from_json(facts["card"]).published
    LoraConfig(**options, base_model_name_or_path=base).save_pretrained(str(folder))
    save_file(weights, folder / "adapter_model.safetensors")
    depth = facts["depth"] or "all"
    return f"{facts['trial']}: adapter/ for PEFT, on the first {depth} layers of {base}."
