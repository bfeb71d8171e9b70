"""Members on windows as ONNX graphs that take the arrays as they were recorded."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from toprung.core.files import write_json
from toprung.data.series import Series
from toprung.learn.member import load_plain
from toprung.learn.series.member import SeriesMember
from toprung.learn.series.modality import Modality
from toprung.ship import standalone_windows
from toprung.ship.exporters._base import Export, copy_module, described, write_baseline
from toprung.ship.exporters._graph import compare, draw


class WindowGraph(nn.Module):
    """Windows of each modality, in their own units, to logits; NaN throughout is missing.

    Args:
        member: in float32.
    """

    def __init__(self, member: SeriesMember) -> None:
        super().__init__()
        self.model = member.model
        self._modalities = member.modalities
        for number, modality in enumerate(member.modalities):
            self.register_buffer(f"mean_{number}", torch.tensor(modality.mean))
            self.register_buffer(f"deviation_{number}", torch.tensor(modality.deviation))

    def forward(self, *arrays: torch.Tensor) -> torch.Tensor:
        """(N, T, C) float32 of each modality → (N, outputs) float32."""
        present = [~torch.isnan(array).all(dim=2).all(dim=1) for array in arrays]
        values = []
        for number, (modality, array) in enumerate(zip(self._modalities, arrays, strict=True)):
            mean, deviation = getattr(self, f"mean_{number}"), getattr(self, f"deviation_{number}")
            scaled = (_derive(array, modality) - mean) / deviation
            shown = present[number][:, None, None]
            values.append(torch.where(shown, scaled, torch.zeros_like(scaled)))
        found: torch.Tensor = self.model(values, torch.stack(present, dim=1))
        return found


def _derive(array: torch.Tensor, modality: Modality) -> torch.Tensor:
    """See ``derive`` of ``learn.series.modality``."""
    parts = [array]
    if modality.derived != "none":
        parts.append(array.square().sum(dim=2, keepdim=True).sqrt())
    if modality.derived == "norm_and_change":
        parts.append(array - torch.cat([array[:, :1], array[:, :-1]], dim=1))
    return torch.cat(parts, dim=2)


def write_windows(export: Export, to: Path) -> list[str]:
    """Writes ``members/<trial>/model.onnx`` and ``predict.py``; see ``Exporter.write``.

    Raises:
        FixEnvironment: as of ``compare``.
    """
    told = []
    assert isinstance(export.rows, Series)
    for entry in export.said["members"]:
        trial = entry["trial"]
        if entry.get("baseline"):
            told.append(write_baseline(export, trial, to))
            continue
        member, facts = load_plain(export.source / "members" / trial)
        assert isinstance(member, SeriesMember)
        file = to / "members" / trial / "model.onnx"
        file.parent.mkdir(parents=True)
        draw_windows(member, file)
        fed = {name: export.rows.arrays[name] for name in member.shapes}
        expected = export.ensemble.members[trial].logits(export.rows)
        gap = compare(file, [(fed, expected)], facts["precision"])
        told.append(f"{trial}: model.onnx; logits differ by {gap:.1e} at most.")
    write_json(to / "ensemble.json", described(export))
    copy_module(standalone_windows, to, "predict")
    found = standalone_windows.Ensemble(to).predict(export.rows.arrays)
    ours = [list(a) if isinstance(a, tuple) else a for a in export.ensemble.predict(export.rows)]
    same = sum(a == b for a, b in zip(found, ours, strict=True)) / len(ours)
    return [*told, f"predict.py answers {len(ours):,} windows: {same:.1%} of the answers are the "
            "same."]  # fmt: skip


def draw_windows(member: SeriesMember, file: Path) -> None:
    """Writes a member's graph; its inputs have the names of the modalities."""
    arrays = [torch.randn(3, *modality.shape) for modality in member.modalities]
    arrays[0][1] = torch.nan
    names = [modality.name for modality in member.modalities]
    shapes = (tuple({0: torch.export.Dim.DYNAMIC} for _ in arrays),)
    draw(WindowGraph(member).eval(), arrays, file, names=names, shapes=shapes)
