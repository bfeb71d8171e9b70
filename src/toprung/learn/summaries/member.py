"""Members that write: saved on their own, and loaded to write candidates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file

from toprung.core.errors import FixEnvironment
from toprung.data.answers import as_texts
from toprung.data.series import Content, Series
from toprung.learn.backbone.card import Card
from toprung.learn.backbone.locate import Loaded
from toprung.learn.inputs import Inputs
from toprung.learn.model import load_weights
from toprung.learn.summaries.beams import Decoding
from toprung.learn.summaries.evaluate import write_rows
from toprung.learn.summaries.inputs import SummaryInputs
from toprung.learn.summaries.model import Writer, build_writer
from toprung.learn.summaries.settings import summary_settings_of
from toprung.learn.summaries.spelling import Spelling
from toprung.learn.summaries.vocabulary import Vocabulary
from toprung.learn.tokens import tokenize
from toprung.trial.config import TrialConfig


@dataclass(frozen=True)
class SummaryMember:
    """A trained model and all that turns a text into candidates of a shorter one.

    Attributes:
        trial: id.
        sha256: of its weights' file.
        max_length: of a source in tokens; longer ones are cut.
        model: in ``eval`` mode; frozen weights are shared with other members.
        tokenizer: a transformers tokenizer.
        decoding: how texts are found.
        spelling: of words.
        label_names: none.
    """

    trial: str
    sha256: str
    max_length: int
    model: Writer
    tokenizer: Any
    decoding: Decoding
    spelling: Spelling
    label_names: tuple[str, ...] = ()

    def logits(self, content: Content) -> NDArray[Any]:
        """Candidates of texts, (N,) tuples, best first; the same texts give the same ones.

        Raises:
            TypeError: windows instead of texts.
        """
        if isinstance(content, Series):
            raise TypeError("this model reads texts, not windows of several modalities")
        if not content:
            return as_texts([])
        device = next(self.model.parameters()).device
        tokens = tokenize(self.tokenizer, content, self.max_length)
        source = Inputs(tokens, int(self.tokenizer.pad_token_id or 0), device)
        return write_rows(
            self.model,
            SummaryInputs(source, self.model.decoder.vocabulary),
            np.arange(len(content)),
            tokenizer=self.tokenizer,
            texts=content,
            how=(self.decoding, self.spelling),
        )


def rebuild_writer(
    facts: Mapping[str, Any],
    loaded: Loaded,
    card: Card,
    *,
    weights: Path,
    tokenizer: Any,
    device: str,
) -> SummaryMember:
    """The member that a trial's facts and weights describe.

    Raises:
        FixEnvironment: the weights are of another model.
    """
    config = TrialConfig(facts["trial"], facts["values"], int(facts["seed"]))
    own = summary_settings_of(config)
    # New weights are drawn before the saved ones take their place; nobody's stream is moved.
    with torch.random.fork_rng():
        model = build_writer(
            config,
            loaded.encoder,
            card,
            depth=facts["depth"],
            vocabulary=Vocabulary(tuple(facts["vocabulary"]), facts["begin"], facts["end"]),
            precision=facts["precision"],
        )
    try:
        load_weights(model.trainable(), load_file(weights))
    except (OSError, SafetensorError, ValueError) as error:
        raise FixEnvironment(f"{weights}: {error}") from error
    model.requires_grad_(False)
    return SummaryMember(
        trial=str(facts["trial"]),
        sha256=facts["weights_sha256"],
        max_length=int(facts["max_length"]),
        model=model.to(device).eval(),
        tokenizer=tokenizer,
        decoding=Decoding(own.beams, own.length_penalty, own.max_target_length - 1, own.no_repeat),
        spelling=Spelling.from_json(facts["spelling"]),
    )
