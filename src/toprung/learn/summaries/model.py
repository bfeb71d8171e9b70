"""A model that writes: an encoder, a decoder, and the precision they run in."""

from __future__ import annotations

import copy
from typing import Any, Protocol, cast

import torch
from torch import nn

from toprung.learn import adapters
from toprung.learn.adapters._base import Adapter
from toprung.learn.adapters.full import Full
from toprung.learn.adapters.lora import Lora
from toprung.learn.backbone.card import Card
from toprung.learn.backbone.encoder import Encoder
from toprung.learn.model import Model
from toprung.learn.settings import choose, settings_of
from toprung.learn.summaries.decoder import Decoder, OwnDecoder, WarmDecoder
from toprung.learn.summaries.settings import LEARNING_RATE, summary_settings_of
from toprung.learn.summaries.vocabulary import Vocabulary
from toprung.trial.config import TrialConfig


class Reader(Protocol):
    """An encoder that is frozen up to some layer; see ``Encoder``."""

    frozen_layers: int
    hidden: int
    depth: int

    def __call__(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Token vectors, (B, S) → (B, S, H)."""
        ...

    def lower(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Token vectors after the frozen layers; no gradient."""
        ...

    def upper(self, states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Token vectors from those after the frozen layers."""
        ...


class OwnEncoder(nn.Module):
    """The encoder of an encoder-decoder: frozen as a whole, or not at all.

    Args:
        stack: transformers' encoder.
        depth: its layers.
        hidden: width of its token vectors.
    """

    def __init__(self, stack: Any, depth: int, hidden: int) -> None:
        super().__init__()
        self.stack = stack
        self.depth, self.hidden = depth, hidden
        trained = any(parameter.requires_grad for parameter in stack.parameters())
        self.frozen_layers = 0 if trained else depth

    def train(self, mode: bool = True) -> OwnEncoder:
        """Switches it where it is trained; a frozen one stays in ``eval`` mode."""
        super().train(mode and not self.frozen_layers)
        return self

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Token vectors, (B, S) → (B, S, H)."""
        found: torch.Tensor = self.stack(input_ids=ids, attention_mask=mask).last_hidden_state
        return found

    def lower(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Token vectors without a gradient."""
        with torch.no_grad():
            found: torch.Tensor = self(ids, mask)
        return found

    def upper(self, states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """The vectors, as they are."""
        return states


class Writer(Model):
    """Token ids of a source to the log-probabilities of a target, or to texts of its own.

    Args:
        encoder: with its adapter applied.
        decoder: of texts.
        precision: of both; weights that are trained stay float32.
        smooths: whether the loss looks at the tokens beside the true one.
    """

    def __init__(
        self, encoder: Reader, decoder: Decoder, *, precision: str, smooths: bool = False
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.precision = precision
        self.smooths = smooths

    def lower(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Token vectors after the frozen layers, (B, S, H), as the prefix cache keeps them."""
        with self.autocast(ids.device):
            states = self.encoder.lower(ids, mask)
        return states.to(self.kept_dtype)

    def upper(self, states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """What the decoder reads, from what ``lower`` gave."""
        with self.autocast(states.device):
            return self.encoder.upper(states.float(), mask)

    def states(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """What the decoder reads of a source, (B, S) → (B, S, H)."""
        if self.encoder.frozen_layers:
            return self.upper(self.lower(ids, mask), mask)
        with self.autocast(ids.device):
            return self.encoder(ids, mask)

    def sums(
        self,
        states: torch.Tensor,
        source_mask: torch.Tensor,
        read: torch.Tensor,
        written: torch.Tensor,
    ) -> torch.Tensor:
        """Sums over each target's tokens, (B, 2) float32; see ``TokenCrossEntropy``.

        Scores are computed for the tokens of targets alone, never for padding.

        Args:
            states: (B, S, H) of the sources.
            source_mask: (B, S).
            read: (B, T) numbers that the decoder reads.
            written: (B, T) numbers that it is to write; -1 is padding.
        """
        real = written >= 0
        with self.autocast(states.device):
            vectors = self.decoder(read, states, source_mask)[real]
            logits = self.decoder.logits(vectors).float()
        total = logits.logsumexp(dim=-1)
        parts = [total - logits.gather(1, written[real][:, None])[:, 0]]
        if self.smooths:
            parts.append(total - logits.mean(dim=-1))
        rows = real.nonzero()[:, 0]
        found = logits.new_zeros(len(written), 2)
        return found.index_add(0, rows, torch.stack([parts[0], parts[-1]], dim=1))

    @property
    def kept_dtype(self) -> torch.dtype:
        """Of the vectors between the frozen layers and those above."""
        return torch.bfloat16 if self.precision == "bfloat16" else torch.float32

    def autocast(self, device: torch.device) -> torch.autocast:
        """The precision as a context."""
        half = self.precision == "bfloat16"
        return torch.autocast(device.type, torch.bfloat16, enabled=half)


def build_writer(
    config: TrialConfig,
    backbone: nn.Module,
    card: Card,
    *,
    depth: int | None,
    vocabulary: Vocabulary,
    precision: str,
) -> Writer:
    """The model of a configuration; new weights come from torch's global generator.

    Args:
        config: names the adapter and says how the decoder is made.
        backbone: as loaded, nothing trainable; not changed.
        card: of the backbone.
        depth: layers to keep; None keeps all.
        vocabulary: that is written.
        precision: ``float32`` or ``bfloat16``.

    Raises:
        FixSpec: a component, option or depth that does not exist.
    """
    adapter: Adapter = choose(adapters.registry, config, "adapter", "frozen")
    smooths = float(config.values.get("loss.token_cross_entropy.smoothing") or 0.0) > 0
    make = _build_own if card.decoder == "own" else _build_warm
    encoder, decoder = make(config, backbone, card, adapter, depth=depth, vocabulary=vocabulary)
    if precision == "bfloat16" and isinstance(encoder, Encoder):
        encoder.halve()
    if isinstance(encoder, Encoder):
        encoder.split()
    return Writer(cast(Reader, encoder), decoder, precision=precision, smooths=smooths)


def _build_warm(
    config: TrialConfig,
    backbone: Any,
    card: Card,
    adapter: Adapter,
    *,
    depth: int | None,
    vocabulary: Vocabulary,
) -> tuple[nn.Module, Decoder]:
    dropout = settings_of(config, rate=LEARNING_RATE).dropout
    encoder = Encoder(backbone, card, depth)
    if dropout is not None:
        encoder.set_dropout(dropout)
    adapter.apply(encoder)
    layers = summary_settings_of(config).decoder_layers or encoder.depth
    return encoder, WarmDecoder(backbone, vocabulary, layers, dropout=dropout)


def _build_own(
    config: TrialConfig,
    backbone: Any,
    card: Card,
    adapter: Adapter,
    *,
    depth: int | None,
    vocabulary: Vocabulary,
) -> tuple[nn.Module, Decoder]:
    model: Any = copy.deepcopy(backbone, {id(p): p for p in backbone.parameters()})
    layers = card.layers if depth is None else depth
    for stack in (model.get_encoder(), model.get_decoder()):
        name = "block" if hasattr(stack, "block") else "layers"
        setattr(stack, name, nn.ModuleList(list(getattr(stack, name))[:layers]))
    dropout = settings_of(config, rate=LEARNING_RATE).dropout
    if dropout is not None:
        for module in model.modules():
            if isinstance(module, nn.Dropout):
                module.p = dropout
            if isinstance(getattr(module, "dropout", None), float):
                module.dropout = dropout
    if isinstance(adapter, Lora):
        adapter.inject(model, card.lora_targets, r"(.*\.)?(encoder|decoder)\..*")
    elif isinstance(adapter, Full):
        _own(model)
    else:
        _own(model.get_decoder(), model.get_encoder())
    encoder = OwnEncoder(model.get_encoder(), layers, card.hidden)
    return encoder, OwnDecoder(model, vocabulary)


def _own(part: nn.Module, beside: nn.Module | None = None) -> None:
    """Replaces the parameters of a part by trainable copies; those that are shared stay so.

    What a part ``beside`` it has too, as word embeddings, is left as it is.
    """
    given = beside.parameters() if beside is not None else ()
    copies = {id(parameter): parameter for parameter in given}
    for module in part.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            if id(parameter) not in copies:
                copies[id(parameter)] = nn.Parameter(parameter.detach().clone())
            setattr(module, name, copies[id(parameter)])
