"""Decoders: one started from an encoder's layers, or a backbone's own."""

from __future__ import annotations

import copy
from abc import abstractmethod
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from transformers import BertModel
from transformers.cache_utils import DynamicCache, EncoderDecoderCache

from toprung.core.errors import FixSpec, Problem
from toprung.learn.backbone.card import Card
from toprung.learn.summaries.vocabulary import Vocabulary


class Decoder(nn.Module):
    """Token numbers, and what an encoder made of the source, to scores of the next token.

    Args:
        stack: transformers' decoder.
        vocabulary: V tokens.
    """

    def __init__(self, stack: Any, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.stack = stack
        self.vocabulary = vocabulary

    def forward(
        self,
        numbers: torch.Tensor,
        states: torch.Tensor,
        source_mask: torch.Tensor,
        past: Any = None,
    ) -> torch.Tensor:
        """Vectors of tokens, (B, T) → (B, T, H); each sees itself and those before it.

        Args:
            numbers: of the vocabulary; of those since ``past`` where it is given.
            states: (B, S, H) of the source.
            source_mask: (B, S) int64; 1 for a token, 0 for padding.
            past: from ``new_past``; grows by these tokens.
        """
        found: torch.Tensor = self.stack(
            input_ids=self.ids(numbers),
            encoder_hidden_states=states,
            encoder_attention_mask=source_mask,
            past_key_values=past,
            use_cache=past is not None,
        ).last_hidden_state
        return found

    @staticmethod
    def new_past() -> Any:
        """What is kept of earlier tokens so that they are computed once."""
        return EncoderDecoderCache(DynamicCache(), DynamicCache())

    @abstractmethod
    def ids(self, numbers: torch.Tensor) -> torch.Tensor:
        """The ids that the stack's embeddings take."""

    @abstractmethod
    def logits(self, vectors: torch.Tensor) -> torch.Tensor:
        """Scores of the vocabulary, (N, H) → (N, V)."""


class WarmDecoder(Decoder):
    """A decoder that starts from a BERT's layers; attention to the source is new.

    All of it is trained. Words in and out share one matrix, and a layer that begins as the
    identity stands before the output.

    Source: Rothe et al. 2020, "Leveraging Pre-trained Checkpoints for Sequence Generation Tasks".

    Args:
        encoder: transformers' BertModel, whole; not changed.
        vocabulary: V tokens.
        layers: how many of its layers; the lowest, the highest, and evenly between them.
        dropout: of the layers; None keeps the encoder's.

    Raises:
        FixSpec: the encoder is no BERT, or has fewer layers.
    """

    def __init__(
        self, encoder: Any, vocabulary: Vocabulary, layers: int, *, dropout: float | None
    ) -> None:
        if encoder.config.model_type != "bert":
            text = f"a decoder can be started from bert, not from {encoder.config.model_type}."
            raise FixSpec("the configuration", [Problem("backbone", text)])
        given = encoder.config.num_hidden_layers
        if layers > given:
            text = f"{layers} is above {given}, the layers of the encoder. Lower it."
            raise FixSpec("the configuration", [Problem("decoder_layers", text)])
        config = copy.deepcopy(encoder.config)
        config.update({"is_decoder": True, "add_cross_attention": True, "vocab_size": 1})
        config.num_hidden_layers = layers
        if dropout is not None:
            config.hidden_dropout_prob = config.attention_probs_dropout_prob = dropout
        config._attn_implementation = "eager"
        stack: Any = BertModel(config, add_pooling_layer=False)
        words = encoder.embeddings.word_embeddings.weight
        kept = torch.from_numpy(vocabulary.ids).to(words.device)
        embeddings = nn.Embedding(len(vocabulary), config.hidden_size)
        weights = {k: v for k, v in encoder.state_dict().items() if not k.startswith("encoder.")}
        weights.pop("embeddings.word_embeddings.weight")
        for place, layer in enumerate(spread(layers, given)):
            own = encoder.encoder.layer[layer].state_dict()
            weights |= {f"encoder.layer.{place}.{name}": value for name, value in own.items()}
        stack.embeddings.word_embeddings = embeddings
        stack.load_state_dict(weights, strict=False)
        super().__init__(stack, vocabulary)
        with torch.no_grad():
            embeddings.weight.copy_(words[kept])
        self.bridge = nn.Linear(config.hidden_size, config.hidden_size)
        nn.init.eye_(self.bridge.weight)
        nn.init.zeros_(self.bridge.bias)
        self.bias = nn.Parameter(torch.zeros(len(vocabulary)))
        self.requires_grad_(True)

    def ids(self, numbers: torch.Tensor) -> torch.Tensor:
        return numbers

    def logits(self, vectors: torch.Tensor) -> torch.Tensor:
        words = self.stack.embeddings.word_embeddings.weight
        return functional.linear(self.bridge(vectors), words, self.bias)


class OwnDecoder(Decoder):
    """The decoder of T5, BART or Pegasus, whose output is kept for the vocabulary alone.

    Attributes:
        config: of the whole model as it was loaded, with all its layers.

    Args:
        model: transformers' encoder-decoder with its output layer.
        vocabulary: V tokens.
    """

    def __init__(self, model: Any, vocabulary: Vocabulary) -> None:
        super().__init__(model.get_decoder(), vocabulary)
        self.output = model.get_output_embeddings()
        self.config = config = model.config
        # T5 scales where words in and out share a matrix (Raffel et al. 2020); FLAN-T5 does not.
        scaled = config.model_type == "t5" and getattr(config, "scale_decoder_outputs", True)
        self.scale = config.d_model**-0.5 if scaled else 1.0
        self.register_buffer("kept", torch.from_numpy(vocabulary.ids), persistent=False)
        bias = getattr(model, "final_logits_bias", None)
        bias = torch.zeros(1, self.output.weight.shape[0]) if bias is None else bias
        self.register_buffer("bias", bias[0, vocabulary.ids], persistent=False)

    def ids(self, numbers: torch.Tensor) -> torch.Tensor:
        kept: torch.Tensor = self.get_buffer("kept")
        return kept[numbers]

    def logits(self, vectors: torch.Tensor) -> torch.Tensor:
        words = self.output.weight[self.get_buffer("kept")]
        return functional.linear(vectors * self.scale, words, self.get_buffer("bias"))


def spread(layers: int, given: int) -> list[int]:
    """Places of so many layers among those given, the lowest and the highest with them.

    >>> spread(3, 6), spread(1, 6), spread(6, 6)
    ([0, 2, 5], [0], [0, 1, 2, 3, 4, 5])
    """
    return [round(place * (given - 1) / max(1, layers - 1)) for place in range(layers)]


def begin_and_end(card: Card, tokenizer: Any, config: Any) -> tuple[int, int]:
    """Ids of the token that a text starts from, and of the one that ends it.

    Raises:
        FixSpec: the card has no decoder.
    """
    if card.decoder is None:
        text = f"'{card.name}' only reads. Take one whose card has a decoder, as minilm2minilm."
        raise FixSpec("the configuration", [Problem("backbone", text)])
    if card.decoder == "warm":
        return int(tokenizer.cls_token_id), int(tokenizer.sep_token_id)
    return int(config.decoder_start_token_id), int(config.eos_token_id)
