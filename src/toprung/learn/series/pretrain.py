"""Self-supervised pretraining on masked patches, shared by all trials."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional

from toprung.core.errors import TrialDiverged
from toprung.core.files import new_folder
from toprung.core.seeds import derive_seed
from toprung.learn.batches import Batches, Position
from toprung.learn.fusions._base import Fusion
from toprung.learn.series.model import patch

_FORMAT = 1
_WEIGHTS = "fusion.safetensors"
_SHARE_MASKED = 0.4
_ROWS, _RATE = 64, 1e-3
DROPOUT = 0.1
"""While pretraining, whatever a trial's own: so that trials that differ in it share weights."""
Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Pretraining:
    """What pretrained weights depend on; equal ones are trained once and shared by all trials.

    Attributes:
        data: hash of the data set and of the rows that are trained on.
        model: name and options of the architecture, and what its inputs are.
        epochs: passes over the training windows.
        patches: of a window.
    """

    data: str
    model: Any
    epochs: int
    patches: int

    @property
    def key(self) -> str:
        """A hash of all of it."""
        facts = [_FORMAT, self.data, self.model, self.epochs, self.patches]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def pretrained(
    make: Callable[[], Fusion],
    pretraining: Pretraining,
    values: Sequence[torch.Tensor],
    cache: Path,
) -> Tensors:
    """Pretrained weights: those in the cache, or new ones that are left there.

    They depend on ``pretraining`` alone, not on the trial that happens to come first. The
    process's random stream is left as it was.

    Args:
        make: gives the model with new weights from torch's global generator.
        pretraining: what the weights depend on.
        values: (N, T, C) of each modality, standardised; no labels.
        cache: folder of all pretrained weights.

    Raises:
        TrialDiverged: the loss is not finite.
    """
    file = cache / pretraining.key[:32] / _WEIGHTS
    try:
        found: Tensors = load_file(file)
        return found
    except (OSError, SafetensorError):
        pass  # not there, or not whole: it is made anew
    seed = derive_seed(0, "pretraining", pretraining.key)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        fusion = make().to(values[0].device)
        _train(fusion, [patch(v, pretraining.patches) for v in values], pretraining.epochs, seed)
    weights = {name: t.detach().cpu().contiguous() for name, t in fusion.state_dict().items()}
    with new_folder(file.parent) as aside:
        save_file(weights, aside / _WEIGHTS)
    return weights


def _train(fusion: Fusion, cut: Sequence[torch.Tensor], epochs: int, seed: int) -> None:
    rows, device = len(cut[0]), cut[0].device
    present = torch.ones((rows, len(cut)), dtype=torch.bool, device=device)
    fusion.eval()
    with torch.inference_mode():
        width = fusion([part[:1] for part in cut], present[:1])[0].shape[-1]
    fusion.train()
    decoders = nn.ModuleList(nn.Linear(width, part.shape[-1]) for part in cut).to(device)
    parameters = [*fusion.parameters(), *decoders.parameters()]
    adamw = torch.optim.AdamW(parameters, lr=_RATE, fused=True)
    batches = Batches(np.ones(rows, dtype=np.int64), _ROWS, seed).after(Position())
    while True:
        chosen, position = next(batches)
        if position.epoch >= epochs:
            return
        picked = torch.from_numpy(chosen).to(device)
        loss = _loss(fusion, decoders, [part[picked] for part in cut], present[picked])
        if not bool(torch.isfinite(loss)):
            raise TrialDiverged("the loss of pretraining is not finite")
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(parameters, 1.0)
        adamw.step()
        adamw.zero_grad(set_to_none=True)


def _loss(
    fusion: Fusion,
    decoders: nn.ModuleList,
    cut: Sequence[torch.Tensor],
    present: torch.Tensor,
) -> torch.Tensor:
    """Smooth L1 of masked patches' values: what is hidden is the same part of all modalities."""
    rows, count = cut[0].shape[:2]
    hidden = torch.rand((rows, count), device=cut[0].device) < _SHARE_MASKED
    shown = [part.masked_fill(hidden[..., None], 0.0) for part in cut]
    tokens, _ = fusion(shown, present)
    # One token a patch, or one for each modality: those of a modality predict its own patches.
    streams = tokens.view(rows, -1, count, tokens.shape[-1])
    losses = []
    for number, (decoder, part) in enumerate(zip(decoders, cut, strict=True)):
        guess = decoder(streams[:, number % streams.shape[1]])
        error = functional.smooth_l1_loss(guess, part, reduction="none").mean(dim=-1)
        losses.append((error * hidden).sum() / hidden.sum().clamp(min=1))
    return torch.stack(losses).mean()
