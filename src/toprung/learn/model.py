"""A configuration's model: encoder, pooling and head, and the precision they run in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional

from toprung.learn import adapters, heads, poolings
from toprung.learn.adapters._base import Adapter
from toprung.learn.backbone.card import Card
from toprung.learn.backbone.encoder import Encoder
from toprung.learn.backbone.folder import tensor_shapes
from toprung.learn.heads._base import Head
from toprung.learn.poolings._base import Pooling
from toprung.learn.settings import choose, settings_of
from toprung.trial.config import TrialConfig


class Model(nn.Module):
    """Whatever is trained: rows to scores."""

    def trainable(self) -> dict[str, nn.Parameter]:
        """The parameters that are trained, by name, in a fixed order."""
        return {name: p for name, p in self.named_parameters() if p.requires_grad}

    def below_top(self, name: str) -> int:
        """How many layers lie above a parameter's; their rates fall from layer to layer."""
        return 0


def count_parameters(model: Model) -> dict[str, int]:
    """How many numbers a model has, and how many of them are trained."""
    return {
        "all": sum(p.numel() for p in model.parameters()),
        "trained": sum(p.numel() for p in model.trainable().values()),
    }


class Classifier(Model):
    """Token ids to scores.

    Args:
        encoder: with its adapter applied.
        pooling: built for the encoder's width.
        head: built for the pooling's width.
        dropout: before the head.
        precision: of the encoder; pooling, head and loss are always float32.
    """

    def __init__(
        self, encoder: Encoder, pooling: Pooling, head: Head, *, dropout: float, precision: str
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.pooling = pooling
        self.head = head
        self.dropout = dropout
        self.precision = precision

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Scores, (B, T) and (B, T) int64 → (B, outputs) float32."""
        if self.encoder.frozen_layers:
            return self.from_states(self.lower(ids, mask), mask)
        with self._autocast(ids.device):
            states = self.encoder(ids, mask)
        return self.score(states, mask)

    def lower(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Token vectors after the frozen layers, (B, T, H), as the prefix cache keeps them."""
        with self._autocast(ids.device):
            states = self.encoder.lower(ids, mask)
        return states.to(self.kept_dtype)

    def from_states(self, states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Scores from what ``lower`` gave, (B, T, H) → (B, outputs) float32."""
        with self._autocast(states.device):
            found = self.encoder.upper(states.float(), mask)
        return self.score(found, mask)

    @property
    def kept_dtype(self) -> torch.dtype:
        """Of the vectors between the frozen layers and those above."""
        return torch.bfloat16 if self.precision == "bfloat16" else torch.float32

    def score(self, states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Scores from the last layer's token vectors, (B, T, H) → (B, outputs) float32."""
        vectors = self.pooling(states.float(), mask)
        scores: torch.Tensor = self.head(functional.dropout(vectors, self.dropout, self.training))
        return scores

    def _autocast(self, device: torch.device) -> torch.autocast:
        half = self.precision == "bfloat16"
        return torch.autocast(device.type, torch.bfloat16, enabled=half)

    def below_top(self, name: str) -> int:
        if not name.startswith("encoder."):
            return 0
        return self.encoder.depth - self.encoder.level(name.removeprefix("encoder."))


def build_model(
    config: TrialConfig,
    backbone: nn.Module,
    card: Card,
    *,
    depth: int | None,
    outputs: int,
    precision: str,
) -> Classifier:
    """The model of a configuration; new weights come from torch's global generator.

    Args:
        config: names adapter, pooling, head and dropout.
        backbone: the card's whole encoder, nothing trainable; not changed.
        card: of the backbone.
        depth: layers to keep; None keeps all.
        outputs: scores for a text.
        precision: ``float32`` or ``bfloat16``.

    Raises:
        FixSpec: a component, option or depth that does not exist.
    """
    settings = settings_of(config)
    encoder = Encoder(backbone, card, depth)
    if settings.dropout is not None:
        encoder.set_dropout(settings.dropout)
    adapter: Adapter = choose(adapters.registry, config, "adapter", "full")
    adapter.apply(encoder)
    if precision == "bfloat16":
        encoder.halve()
    encoder.split()
    pooling: Pooling = choose(poolings.registry, config, "pooling", card.pooling)
    head: Head = choose(heads.registry, config, "head", "linear")
    head.build(pooling.build(encoder.hidden), outputs)
    dropout = 0.1 if settings.dropout is None else settings.dropout
    return Classifier(encoder, pooling, head, dropout=dropout, precision=precision)


def load_weights(parameters: dict[str, nn.Parameter], weights: dict[str, torch.Tensor]) -> None:
    """Copies kept weights into a model's trained parameters.

    Raises:
        ValueError: the names are not the same.
    """
    if parameters.keys() != weights.keys():
        odd = sorted(parameters.keys() ^ weights.keys())
        raise ValueError(f"the kept weights are of another model: {', '.join(odd[:5])}")
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(weights[name])


M = TypeVar("M", bound=Model)


def rebuild(make: Callable[[], M], file: Path) -> M:
    """A model with the weights of a file.

    Its shapes are compared with the file's before any of it is made: what describes the model
    may come from anywhere, and ask for more memory than there is.

    Args:
        make: gives the model, its new weights from torch's global generator.
        file: of the trained weights, as ``trainable`` names them.

    Raises:
        OSError, SafetensorError, ValueError: the file is not there, broken, or of another model.
    """
    shapes = tensor_shapes(file)
    # New weights are drawn before the saved ones take their place; nobody's stream is moved.
    with torch.random.fork_rng():
        with torch.device("meta"):
            wanted = {name: tuple(p.shape) for name, p in make().trainable().items()}
        odd = sorted(n for n in wanted.keys() | shapes.keys() if wanted.get(n) != shapes.get(n))
        if odd:
            raise ValueError(f"the kept weights are of another model: {', '.join(odd[:5])}")
        model = make()
    load_weights(model.trainable(), load_file(file))
    return model
