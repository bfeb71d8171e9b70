"""ONNX graphs, one a member: token ids and mask to logits, checked with onnxruntime."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from toprung.core.files import write_json
from toprung.learn.backbone.load import save_tokenizer
from toprung.ship.exporters._base import Export, Exporter, described, facts_of_head, write_baseline
from toprung.ship.exporters._graph import compare, draw
from toprung.ship.exporters._windows import write_windows
from toprung.ship.merge import Merged, merge
from toprung.ship.standalone import AT_ONCE, Scorer

_INPUTS = ("input_ids", "attention_mask")


class _Graph(nn.Module):
    """Token ids and mask to logits, by the formulas of ``predict.py``."""

    def __init__(self, merged: Merged) -> None:
        super().__init__()
        self.encoder = merged.encoder
        self.encoder.set_attn_implementation("eager")
        self._names = {name: name.replace(".", "_") for name in merged.head}
        for name, value in merged.head.items():
            self.register_buffer(self._names[name], value)
        self._said = facts_of_head(merged)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """(N, T) and (N, T) int64 → (N, C) float32."""
        head = {name: getattr(self, kept) for name, kept in self._names.items()}
        return Scorer(self.encoder, head, self._said).score(input_ids, attention_mask)


class Onnx(Exporter):
    """``members/<trial>/model.onnx`` with its tokenizer; weights and thresholds in one JSON file.

    Inputs ``input_ids`` and ``attention_mask`` of any size, output ``logits``. A graph on windows
    has an input for each modality, and ``predict.py`` beside it needs numpy and onnxruntime alone.
    """

    forms = (("texts", "classes"), ("series", "classes"))
    library = "onnx"

    def write(self, export: Export, to: Path) -> list[str]:
        if export.ensemble.task.reads == "series":
            return write_windows(export, to)
        told = []
        for entry in export.said["members"]:
            if entry.get("baseline"):
                told.append(write_baseline(export, entry["trial"], to))
                continue
            folder = to / "members" / entry["trial"]
            folder.mkdir(parents=True)
            merged = merge(export.source / "members" / entry["trial"])
            _draw(_Graph(merged).eval(), folder / "model.onnx")
            save_tokenizer(merged.tokenizer, folder / "tokenizer")
            gap = _check(export, merged, folder / "model.onnx")
            told.append(f"{entry['trial']}: model.onnx; logits differ by {gap:.1e} at most.")
        write_json(to / "ensemble.json", described(export))
        return told


def _draw(graph: nn.Module, file: Path) -> None:
    sizes = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    ids = torch.ones(3, 7, dtype=torch.int64)
    # A mask of ones alone would be drawn as no mask at all.
    mask = (torch.arange(7) < torch.tensor([[7], [5], [3]])).long()
    draw(graph, (ids, mask), file, names=_INPUTS, shapes=(sizes, sizes))


def _check(export: Export, merged: Merged, file: Path) -> float:
    """The largest difference to the member's own logits."""
    expected = export.ensemble.members[merged.facts["trial"]].logits(export.texts)

    def pieces() -> Iterator[tuple[dict[str, NDArray[Any]], NDArray[Any]]]:
        for start in range(0, len(export.texts), AT_ONCE):
            batch = merged.tokenizer(
                list(export.texts[start : start + AT_ONCE]),
                padding=True,
                truncation=True,
                max_length=int(merged.facts["max_length"]),
                return_tensors="np",
            )
            fed = {name: batch[name].astype(np.int64) for name in _INPUTS}
            yield fed, expected[start : start + AT_ONCE]

    return compare(file, pieces(), merged.facts["precision"])
