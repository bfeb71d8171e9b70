"""Low-rank updates beside frozen weights."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.tuners_utils import BaseTunerLayer

from toprung.core.errors import FixSpec, Problem
from toprung.learn.adapters._base import Adapter
from toprung.learn.backbone.encoder import Encoder


@dataclass(frozen=True)
class Lora(Adapter):
    """W + (alpha / rank) · B A, with only A and B trained (Hu et al. 2021, arXiv:2106.09685).

    Attributes:
        rank: of the update.
        alpha: scale; twice the rank unless given.
        dropout: on the input of A.
        layers: which layers have it; ``top_half`` and ``top_third`` leave the lower ones frozen.
    """

    rank: int = 8
    alpha: int | None = None
    dropout: float = 0.0
    layers: Literal["all", "top_half", "top_third"] = "all"

    def apply(self, encoder: Encoder) -> None:
        if not encoder.lora_targets:
            text = "lora needs lora_targets in the backbone's card, and it has none."
            raise FixSpec("the configuration", [Problem("adapter.lora", text)])
        share = {"all": 1, "top_half": 2, "top_third": 3}[self.layers]
        adapted = max(1, encoder.depth // share)
        numbers = "|".join(str(i) for i in range(encoder.depth - adapted, encoder.depth))
        targets = "|".join(map(re.escape, encoder.lora_targets))
        config = LoraConfig(
            r=self.rank,
            lora_alpha=2 * self.rank if self.alpha is None else self.alpha,
            lora_dropout=self.dropout,
            target_modules=rf"{re.escape(encoder.layers_path)}\.({numbers})\.(.*\.)?({targets})",
        )
        inject_adapter_in_model(config, encoder.model)
        for module in encoder.model.modules():
            if isinstance(module, BaseTunerLayer):
                # Under autocast, the cast to float32 would be undone by the next line.
                setattr(module, "cast_input_dtype_enabled", False)  # noqa: B010 (not declared)
