"""Fills masked words with what the backbone's own head expects there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from toprung.core.errors import FixSpec, Problem
from toprung.core.later import later
from toprung.learn.augmenters._base import Augmenter
from toprung.learn.backbone.locate import Loaded

transformers = later("transformers")

_LONGEST = 512
_AT_ONCE = 64


@dataclass
class MaskFill(Augmenter):
    """Chosen tokens are masked, and each is drawn anew from what the masked-word head gives it.

    Attributes:
        share: of a text's tokens, special ones aside; one at least.

    Source: Kumar et al. 2020, "Data Augmentation using Pre-trained Transformer Models",
    arXiv:2003.02245.
    """

    share: float = 0.1
    _model: Any = field(default=None, init=False, repr=False, compare=False)
    _tokenizer: Any = field(default=None, init=False, repr=False, compare=False)

    def prepare(self, backbone: Loaded) -> None:
        self._tokenizer = backbone.tokenizer
        with torch.random.fork_rng():
            model, found = transformers.AutoModelForMaskedLM.from_pretrained(
                backbone.folder,
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                output_loading_info=True,
            )
        if found["missing_keys"] or backbone.tokenizer.mask_token_id is None:
            text = (
                f"mask_fill needs a backbone with a masked-word head; {backbone.folder.name} has "
                "none. Take bert-base-uncased or another card with one, or leave mask_fill out."
            )
            raise FixSpec("space", [Problem("augmenter", text)])
        self._model = model.eval()

    def __call__(self, texts: Sequence[str], chances: Sequence[np.random.Generator]) -> list[str]:
        found: list[str] = []
        for start in range(0, len(texts), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            found += self._fill(texts[part], chances[part])
        return found

    def _fill(self, texts: Sequence[str], chances: Sequence[np.random.Generator]) -> list[str]:
        encoded = self._tokenizer(
            list(texts),
            padding=True,
            truncation=True,
            max_length=_LONGEST,
            return_tensors="pt",
            return_special_tokens_mask=True,
        )
        ids, special = encoded["input_ids"].clone(), encoded.pop("special_tokens_mask").bool()
        masked = torch.zeros_like(special)
        for row, chance in enumerate(chances):
            places = torch.nonzero(~special[row]).flatten().numpy()
            if len(places):
                drawn = chance.random(len(places)) < self.share
                drawn[chance.integers(len(places))] = True
                masked[row, torch.from_numpy(places[drawn])] = True
        encoded["input_ids"] = ids.masked_fill(masked, self._tokenizer.mask_token_id)
        with torch.inference_mode():
            shares = self._model(**encoded).logits.float().softmax(dim=-1)
        for row, chance in enumerate(chances):
            for place in torch.nonzero(masked[row]).flatten().tolist():
                steps = shares[row, place].double().cumsum(0).numpy()
                ids[row, place] = int(np.searchsorted(steps, chance.random() * steps[-1]))
        kept: list[str] = self._tokenizer.batch_decode(ids, skip_special_tokens=True)
        return [now if now.strip() else before for now, before in zip(kept, texts, strict=True)]
