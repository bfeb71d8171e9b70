"""A member that writes as transformers' own encoder-decoder, for ``AutoModelForSeq2SeqLM``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import (
    AutoModelForSeq2SeqLM,
    BertGenerationConfig,
    BertGenerationDecoder,
    EncoderDecoderModel,
    GenerationConfig,
)

from toprung.learn.backbone.encoder import Encoder
from toprung.learn.summaries.decoder import Decoder, OwnDecoder, WarmDecoder
from toprung.learn.summaries.member import SummaryMember
from toprung.ship.merge import Weights, merge_lora, plain_encoder

_NEVER = -1e4
"""Of a word that is never written: it takes no share of a softmax, also in half precision."""

_LAYERS = ("num_layers", "num_decoder_layers", "encoder_layers", "decoder_layers")
_SHARED = ("hidden_size", "num_attention_heads", "intermediate_size", "hidden_act",
           "max_position_embeddings", "layer_norm_eps", "hidden_dropout_prob",
           "attention_probs_dropout_prob", "num_hidden_layers")  # fmt: skip


@dataclass(frozen=True)
class Written:
    """What a member that writes is without toprung.

    Attributes:
        model: transformers' own encoder-decoder, float32, its adapter merged; its generation
            config finds texts as the member does.
        adapter: as of ``Merged``; empty where an adapter alone is not the whole of the training.
        lora: as of ``Merged``.
    """

    model: Any
    adapter: Weights
    lora: Mapping[str, Any]


def as_encoder_decoder(member: SummaryMember) -> Written:
    """The member's weights in transformers' own class.

    A decoder that was started from a BERT's layers is a ``BertGenerationDecoder`` (Rothe et al.
    2020): its token type is folded into the positions, its bridge into the output.

    Args:
        member: in float32; its adapter is merged in place.
    """
    decoder = member.model.decoder
    if isinstance(decoder, OwnDecoder):
        found = _whole(member, decoder)
    else:
        assert isinstance(decoder, WarmDecoder)
        encoder: Any = member.model.encoder
        assert isinstance(encoder, Encoder)
        merge_lora(encoder.model)
        plain = plain_encoder(encoder)
        warm = _generator(decoder, plain.config)
        found = Written(EncoderDecoderModel(encoder=plain, decoder=warm), {}, {})
    found.model.generation_config = _generation(member, decoder)
    return Written(found.model.eval(), found.adapter, found.lora)


def _whole(member: SummaryMember, decoder: OwnDecoder) -> Written:
    encoder: Any = member.model.encoder
    config = type(decoder.config).from_dict(decoder.config.to_dict())
    for name in _LAYERS:
        if hasattr(config, name):
            setattr(config, name, encoder.depth)
    with torch.random.fork_rng():
        model: Any = AutoModelForSeq2SeqLM.from_config(config)  # type: ignore[no-untyped-call]
    adapter: Weights = {}
    lora: dict[str, Any] = {}
    for part, given in ((model.get_encoder(), encoder.stack), (model.get_decoder(), decoder.stack)):
        prefix = next(name for name, module in model.named_modules() if module is part)
        kept, said = merge_lora(given, f"{prefix}.")
        adapter |= kept
        targets = sorted([*lora.get("target_modules", ()), *said.get("target_modules", ())])
        lora |= {**said, "target_modules": targets} if said else {}
        part.load_state_dict(given.state_dict())
    output = model.get_output_embeddings()
    if decoder.output.weight is not decoder.stack.get_input_embeddings().weight:
        # FLAN-T5 has a matrix of its own for words out, which the class takes for a shared one.
        output.weight = nn.Parameter(torch.empty_like(output.weight))
        tied = model.all_tied_weights_keys
        for name in [name for name in tied if model.get_parameter(name) is output.weight]:
            del tied[name]
    output.load_state_dict(decoder.output.state_dict())
    if hasattr(model, "final_logits_bias"):
        model.final_logits_bias.fill_(_NEVER)
        model.final_logits_bias[0, decoder.vocabulary.ids] = decoder.get_buffer("bias")
    return Written(model, adapter, lora)


def _generator(decoder: WarmDecoder, base: Any) -> BertGenerationDecoder:
    own = decoder.stack.config
    config = BertGenerationConfig(
        vocab_size=base.vocab_size,
        is_decoder=True,
        add_cross_attention=True,
        tie_word_embeddings=False,
        **{name: getattr(own, name) for name in _SHARED},
    )
    with torch.random.fork_rng():
        found = BertGenerationDecoder(config)
    stack = decoder.stack.state_dict()
    words = stack.pop("embeddings.word_embeddings.weight")
    token_type = stack.pop("embeddings.token_type_embeddings.weight")[0]
    positions = stack["embeddings.position_embeddings.weight"]
    stack["embeddings.position_embeddings.weight"] = positions + token_type
    kept = torch.from_numpy(decoder.vocabulary.ids)
    bridge = decoder.bridge

    def spread(rows: torch.Tensor, elsewhere: float) -> torch.Tensor:
        whole = torch.full((base.vocab_size, *rows.shape[1:]), elsewhere)
        whole[kept] = rows
        return whole

    bias = spread(words @ bridge.bias + decoder.bias, _NEVER)
    weights = {f"bert.{name}": value for name, value in stack.items()} | {
        "bert.embeddings.word_embeddings.weight": spread(words, 0.0),
        "lm_head.decoder.weight": spread(words @ bridge.weight, 0.0),
        "lm_head.decoder.bias": bias,
        "lm_head.bias": bias,
    }
    missing, odd = found.load_state_dict(weights, strict=False)
    if names := [name for name in (*missing, *odd) if "position_ids" not in name]:
        raise ValueError(f"the decoder's weights do not fit: {', '.join(names[:5])}")
    return found


def _generation(member: SummaryMember, decoder: Decoder) -> GenerationConfig:
    """How texts are found, in the words of ``generate``."""
    how, vocabulary = member.decoding, decoder.vocabulary
    config = GenerationConfig(  # type: ignore[no-untyped-call]
        num_beams=how.beams,
        length_penalty=how.length_penalty if how.beams > 1 else 1.0,
        max_new_tokens=how.most,
        min_new_tokens=1,
        no_repeat_ngram_size=how.no_repeat,
        early_stopping=False,
        do_sample=False,
        decoder_start_token_id=vocabulary.begin,
        eos_token_id=vocabulary.end,
        pad_token_id=int(member.tokenizer.pad_token_id or 0),
    )
    never = {vocabulary.begin} - {vocabulary.end}
    if isinstance(decoder, OwnDecoder) and decoder.config.model_type == "t5":
        # It has no bias that could do so. What is left is made to sum to 1 again, as in training.
        never |= set(range(decoder.output.weight.shape[0])) - set(vocabulary.kept)
        config.renormalize_logits = True
    config.suppress_tokens = sorted(never) or None
    return config
