"""Low-rank updates beside frozen weights."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from torch import nn

from toprung.core.errors import FixSpec, Problem
from toprung.core.later import later
from toprung.learn.adapters._base import Adapter, Encoder

peft, tuners = later("peft"), later("peft.tuners.tuners_utils")
linear = later("toprung.learn.backbone.linear")
low_rank = later("toprung.learn.backbone.low_rank")


@dataclass(frozen=True)
class Lora(Adapter):
    """W + (alpha / rank) · B A, with only A and B trained (Hu et al. 2021, arXiv:2106.09685).

    Attributes:
        rank: of the update.
        alpha: scale; twice the rank unless given.
        dropout: on the input of A.
        layers: which layers have it; ``top_half`` and ``top_third`` leave the lower ones frozen.
        targets: matrices of a layer that have it: those of the backbone's card, as a rule query
            and value, or ``all`` of them.
    """

    rank: int = 8
    alpha: int | None = None
    dropout: float = 0.0
    layers: Literal["all", "top_half", "top_third"] = "all"
    targets: Literal["card", "all"] = "card"

    def apply(self, encoder: Encoder) -> None:
        share = {"all": 1, "top_half": 2, "top_third": 3}[self.layers]
        adapted = max(1, encoder.depth // share)
        numbers = "|".join(str(i) for i in range(encoder.depth - adapted, encoder.depth))
        self.inject(
            encoder.model, encoder.lora_targets, rf"{re.escape(encoder.layers_path)}\.({numbers})"
        )

    def inject(self, model: nn.Module, names: Sequence[str], below: str = ".*") -> None:
        """Adds updates to matrices of a model; its own weights stay frozen.

        Args:
            model: changed in place.
            names: of the matrices that the backbone's card lists.
            below: pattern of the paths that they are looked for under.

        Raises:
            FixSpec: the card lists none.
        """
        if not names:
            text = "lora needs lora_targets in the backbone's card, and it has none."
            raise FixSpec("the configuration", [Problem("adapter.lora", text)])
        if self.targets == "all":
            paths = [name for name, part in model.named_modules() if isinstance(part, nn.Linear)]
            inner = [path for path in paths if re.match(rf"{below}\.", path)]
            names = sorted({path.rpartition(".")[2] for path in inner})
        targets = "|".join(map(re.escape, names))
        config = peft.LoraConfig(
            r=self.rank,
            lora_alpha=2 * self.rank if self.alpha is None else self.alpha,
            lora_dropout=self.dropout,
            target_modules=rf"{below}\.(.*\.)?({targets})",
        )
        config._register_custom_module({linear.Linear: low_rank.Adapted})
        peft.inject_adapter_in_model(config, model)
        for module in model.modules():
            if isinstance(module, tuners.BaseTunerLayer):
                # Under autocast, the cast to float32 would be undone by the next line.
                setattr(module, "cast_input_dtype_enabled", False)  # noqa: B010 (not declared)
