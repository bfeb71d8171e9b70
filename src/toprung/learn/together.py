"""Scores of several members at once: what they share is computed once for all of them."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import pairwise
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from toprung.data.series import Content, Series
from toprung.learn.backbone.encoder import Encoder
from toprung.learn.evaluate import predict
from toprung.learn.inputs import Inputs
from toprung.learn.member import AnyMember, Member
from toprung.learn.model import Classifier
from toprung.learn.tokens import tokenize

_WIDTH = 16


def score_together(members: Sequence[AnyMember], content: Content) -> list[NDArray[np.float32]]:
    """Each member's scores of N rows, (N, C) float32, as ``Member.logits`` gives them.

    Members on one backbone whose texts become the same tokens are scored batch by batch in one
    pass: texts are tokenised once, and every frozen layer that several of them have in common
    runs once. In float32 on one thread of a CPU every bit is that of the member alone.

    Args:
        members: in any order; they need not share anything.
        content: texts, or windows, which every member scores alone.
    """
    on_texts = [member for member in members if isinstance(member, Member)]
    if isinstance(content, Series) or len(on_texts) < len(members):
        return [member.logits(content) for member in members]
    groups: dict[Hashable, list[int]] = {}
    for place, member in enumerate(on_texts):
        groups.setdefault(_shared(member), []).append(place)
    found: dict[int, NDArray[np.float32]] = {}
    for places in groups.values():
        scores = _score_group([on_texts[place] for place in places], content)
        found.update(zip(places, scores, strict=True))
    return [found[place] for place in range(len(members))]


def _shared(member: Member) -> Hashable:
    """All that must be equal for members to be scored batch by batch together."""
    model = member.model
    return (
        member.backbone_sha256,
        member.config_sha256,
        member.tokenizer_sha256,
        member.max_length,
        model.precision,
        str(next(model.parameters()).device),
        member.label_names,
    )


def _score_group(members: Sequence[Member], texts: Sequence[str]) -> list[NDArray[np.float32]]:
    first = members[0]
    if not texts or len(members) == 1:
        return [member.logits(texts) for member in members]
    tokens = tokenize(first.tokenizer, texts, first.max_length)
    device = next(first.model.parameters()).device
    inputs = Inputs(tokens, int(first.tokenizer.pad_token_id or 0), device)
    stack = _Stack([member.model for member in members])
    # Whatever takes token ids and a mask to scores will do.
    scores = predict(cast(Classifier, stack), inputs)
    return [np.ascontiguousarray(part) for part in np.split(scores, len(members), axis=1)]


class _Stack(nn.Module):
    """Several classifiers on one backbone: token ids to the scores of all, side by side."""

    def __init__(self, models: Sequence[Classifier]) -> None:
        super().__init__()
        self.models = nn.ModuleList(models)
        # One model for each height of the frozen layers, and the way up from one to the next.
        heights = {model.encoder.frozen_layers: model for model in models}
        self.frozen = {height: heights[height] for height in sorted(heights) if height}
        self.between = {
            upper: _stretch(self.frozen[upper], lower, upper)
            for lower, upper in pairwise(self.frozen)
        }

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Scores, (B, T) and (B, T) int64 → (B, outputs of the first + of the second + …)."""
        states = self._climb(ids, mask)
        scores: list[torch.Tensor] = []
        for model in self.models:
            assert isinstance(model, Classifier)
            height = model.encoder.frozen_layers
            scores.append(model.from_states(states[height], mask) if height else model(ids, mask))
        return torch.cat(scores, dim=1)

    def _climb(self, ids: torch.Tensor, mask: torch.Tensor) -> dict[int, torch.Tensor]:
        """Token vectors at each height, each going on from those below."""
        found: dict[int, torch.Tensor] = {}
        states: torch.Tensor | None = None
        for height, model in self.frozen.items():
            half = model.precision == "bfloat16"
            with torch.autocast(ids.device.type, torch.bfloat16, enabled=half):
                if states is None:
                    states = model.encoder.lower(ids, mask)
                else:
                    states = _go_on(model.encoder, self.between[height], states, mask)
            found[height] = states.to(model.kept_dtype)
        return found


def _go_on(
    encoder: Encoder, stretch: Any, states: torch.Tensor, mask: torch.Tensor
) -> torch.Tensor:
    """Token vectors further up, (B, T, H): padded and masked as ``Encoder.lower`` does it.

    What stands in the padding differs from there, and counts for nothing: it is masked.
    """
    rows, width = mask.shape
    missing = min(-width % _WIDTH, max(0, encoder.max_length - width))
    states = functional.pad(states, (0, 0, 0, missing))
    mask = functional.pad(mask, (0, missing))
    if bool(mask.all()):
        states = torch.cat([states, states[:1]])
        mask = torch.cat([mask, functional.pad(mask[:1, :1], (0, width - 1))])
    found: torch.Tensor = stretch(inputs_embeds=states, attention_mask=mask).last_hidden_state
    return found[:rows, :width]


def _stretch(model: Classifier, lower: int, upper: int) -> Any:
    """The frozen layers between two heights, without a norm after them."""
    part = model.encoder.part(lower, upper, embed=False)
    if hasattr(part, "final_norm"):
        part.final_norm = nn.Identity()
    return part
