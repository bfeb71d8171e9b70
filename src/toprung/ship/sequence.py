"""A member as one of transformers' own classes for sequence classification, where one fits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import AutoModelForSequenceClassification

from toprung.ship.merge import Merged

_SCALE = 1e-4
_SHIFT = 64.0


def as_sequence_classifier(merged: Merged, labels: Sequence[str], *, many: bool) -> Any | None:
    """The member in its backbone's own class; None where that class cannot compute it.

    Those classes put a dense layer and a curve before the scores, which ours has not. Where the
    curve is tanh, the dense layer shrinks the vector to a ten-thousandth, where tanh is linear
    to within rounding, and the scores grow it again; where it is ReLU or GELU, the dense layer
    lifts the vector to where those are linear, and the scores' bias takes the lift away.

    Args:
        merged: a member with ``cls`` pooling and a linear head.
        labels: names of its scores.
        many: whether a text may have several labels.
    """
    config = merged.encoder.config
    config.id2label = dict(enumerate(labels))
    config.label2id = {name: number for number, name in enumerate(labels)}
    config.problem_type = "multi_label_classification" if many else "single_label_classification"
    with torch.random.fork_rng():
        try:
            model: Any = AutoModelForSequenceClassification.from_config(config)  # type: ignore[no-untyped-call]
        except ValueError:  # transformers has no such class for this kind of backbone
            return None
    prefix = model.base_model_prefix
    parts = _parts(model)
    if parts is None:
        return None
    dense, scores, curve = parts
    getattr(model, prefix).load_state_dict(merged.encoder.state_dict(), strict=False)
    weight, bias = merged.head["head.score.weight"], merged.head["head.score.bias"]
    with torch.no_grad():
        eye = torch.eye(weight.shape[1])
        dense.weight.copy_(eye * _SCALE if curve == "tanh" else eye)
        dense.bias.fill_(0.0 if curve == "tanh" else _SHIFT)
        scores.weight.copy_(weight / _SCALE if curve == "tanh" else weight)
        scores.bias.copy_(bias if curve == "tanh" else bias - _SHIFT * weight.sum(dim=1))
    return model.eval()


def _parts(model: Any) -> tuple[Any, Any, str] | None:
    """The dense layer, the scores, and the curve between them."""
    kind = model.config.model_type
    if kind == "bert":
        return model.bert.pooler.dense, model.classifier, "tanh"
    if kind in ("roberta", "xlm-roberta"):
        return model.classifier.dense, model.classifier.out_proj, "tanh"
    if kind == "distilbert":
        return model.pre_classifier, model.classifier, "relu"
    if kind == "electra":
        return model.classifier.dense, model.classifier.out_proj, "gelu"
    return None
