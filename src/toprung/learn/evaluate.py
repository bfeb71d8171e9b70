"""Scores of many texts: sorted by length, in the order of the rows, without gradients."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from toprung.learn.batches import collate
from toprung.learn.model import Classifier
from toprung.learn.tokens import Tokens

_TOKENS_OF_A_BATCH = {"cpu": 4096, "cuda": 65536}


def predict(model: Classifier, tokens: Tokens, padding: int) -> NDArray[np.float32]:
    """Scores of N texts, (N, outputs) float32.

    The same texts give the same bits: batches depend on the lengths alone, and nothing is drawn.
    The model is left in ``eval`` mode.
    """
    device = next(model.parameters()).device
    budget = _TOKENS_OF_A_BATCH.get(device.type, 4096)
    lengths = tokens.lengths
    order = np.argsort(-lengths, kind="stable")
    model.eval()
    found: list[torch.Tensor] = []
    start = 0
    with torch.inference_mode():
        while start < len(order):
            size = max(1, budget // max(1, int(lengths[order[start]])))
            rows = order[start : start + min(size, 256)]
            found.append(model(*collate(tokens, rows, padding, device)))
            start += len(rows)
    if not found:
        raise ValueError("there are no texts to score")
    scores = torch.cat(found).float().cpu().numpy()
    result = np.empty_like(scores)
    result[order] = scores
    return result


def write_scores(path: Path, array: NDArray[np.float32]) -> None:
    """Writes scores as an .npy file that appears whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with aside.open("wb") as file:
        np.save(file, array, allow_pickle=False)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
