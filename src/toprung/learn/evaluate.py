"""Scores of many texts: sorted by length, in the order of the rows, without gradients."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from toprung.learn.batches import Rows
from toprung.learn.inputs import Inputs
from toprung.learn.model import Classifier

_TOKENS_OF_A_BATCH = {"cpu": 4096, "cuda": 65536}


def predict(
    model: Classifier, inputs: Inputs, rows: Rows | None = None, *, shrink: int = 1
) -> NDArray[np.float32]:
    """Scores of texts, (B, outputs) float32.

    The same texts give the same bits: batches depend on the lengths alone, and nothing is drawn.
    The model is left in ``eval`` mode.

    Args:
        model: that scores them.
        inputs: N texts.
        rows: (B,) which of them; None takes all.
        shrink: scores so many times fewer tokens at once.
    """
    budget = _TOKENS_OF_A_BATCH.get(inputs.device.type, 4096) // shrink
    rows = np.arange(len(inputs.tokens)) if rows is None else rows
    lengths = inputs.tokens.lengths[rows]
    order = np.argsort(-lengths, kind="stable")
    model.eval()
    found: list[torch.Tensor] = []
    start = 0
    with torch.inference_mode():
        while start < len(order):
            size = max(1, budget // max(1, int(lengths[order[start]])))
            part = order[start : start + min(size, 256)]
            found.append(inputs.scores(model, rows[part]))
            start += len(part)
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
