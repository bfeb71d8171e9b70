"""Scores of several members at once: what they share is computed once for all of them."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from toprung.learn.evaluate import predict
from toprung.learn.inputs import Inputs
from toprung.learn.member import Member
from toprung.learn.model import Classifier
from toprung.learn.tokens import tokenize


def score_together(members: Sequence[Member], texts: Sequence[str]) -> list[NDArray[np.float32]]:
    """Each member's scores of N texts, (N, C) float32, as ``Member.logits`` gives them.

    Members on one backbone whose texts become the same tokens are scored batch by batch in one
    pass: texts are tokenised once, and members that leave the same lowest layers frozen go on
    from one computation of these. In float32 on one thread of a CPU every bit is that of the
    member alone.

    Args:
        members: in any order; they need not share anything.
        texts: to score.
    """
    groups: dict[Hashable, list[int]] = {}
    for place, member in enumerate(members):
        groups.setdefault(_shared(member), []).append(place)
    found: dict[int, NDArray[np.float32]] = {}
    for places in groups.values():
        scores = _score_group([members[place] for place in places], texts)
        found.update(zip(places, scores, strict=True))
    return [found[place] for place in range(len(members))]


def _shared(member: Member) -> Hashable:
    """All that must be equal for members to be scored batch by batch together."""
    model = member.model
    return (
        member.backbone_sha256,
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
        self.depths = [model.encoder.frozen_layers for model in models]

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Scores, (B, T) and (B, T) int64 → (B, outputs of the first + of the second + …)."""
        states: dict[int, torch.Tensor] = {}
        scores: list[torch.Tensor] = []
        for model, depth in zip(self.models, self.depths, strict=True):
            assert isinstance(model, Classifier)
            if depth and depth not in states:
                states[depth] = model.lower(ids, mask)
            scores.append(model.from_states(states[depth], mask) if depth else model(ids, mask))
        return torch.cat(scores, dim=1)
