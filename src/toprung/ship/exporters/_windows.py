"""Members on windows as ONNX graphs that take the arrays as they were recorded."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from torch import nn

from toprung.core.errors import FixEnvironment
from toprung.core.files import write_json, write_text
from toprung.data.series import Series
from toprung.learn.member import load_plain
from toprung.learn.series.member import SeriesMember
from toprung.learn.series.modality import Modality
from toprung.ship import standalone_windows
from toprung.ship.exporters._base import Export, described

_CLOSE = {"float32": 1e-3, "bfloat16": 0.5}


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


def write_windows(export: Export, to: Path, opset: int) -> list[str]:
    """Writes ``members/<trial>/model.onnx`` and ``predict.py``; see ``Exporter.write``.

    Raises:
        FixEnvironment: the graphs' answers differ from the ensemble's.
    """
    told = []
    assert isinstance(export.rows, Series)
    for entry in export.said["members"]:
        trial = entry["trial"]
        member, facts = load_plain(export.source / "members" / trial)
        assert isinstance(member, SeriesMember)
        file = to / "members" / trial / "model.onnx"
        file.parent.mkdir(parents=True)
        draw_windows(member, file, opset)
        session = _open(file)
        fed = {i.name: export.rows.arrays[i.name] for i in session.get_inputs()}
        found = session.run(["logits"], fed)[0]
        gap = float(np.abs(found - export.ensemble.members[trial].logits(export.rows)).max())
        if not gap <= _CLOSE[facts["precision"]]:
            raise FixEnvironment(
                f"{file}: its logits differ from the member's by {gap:.2g}; nothing was exported. "
                "Try another version of onnx."
            )
        told.append(f"{trial}: model.onnx; logits differ by {gap:.1e} at most.")
    write_json(to / "ensemble.json", described(export))
    write_text(to / "predict.py", inspect.getsource(standalone_windows))
    found = standalone_windows.Ensemble(to).predict(export.rows.arrays)
    ours = [list(a) if isinstance(a, tuple) else a for a in export.ensemble.predict(export.rows)]
    same = sum(a == b for a, b in zip(found, ours, strict=True)) / len(ours)
    return [*told, f"predict.py answers {len(ours):,} windows: {same:.1%} of the answers are the "
            "same."]  # fmt: skip


def _open(file: Path) -> Any:
    try:
        return onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    # Its errors have no class of their own; a modality named as a node of the graph is one.
    except Exception as error:
        raise FixEnvironment(
            f"{file}: onnxruntime does not load it ({error}); nothing was exported. Try another "
            "version of onnx, or other names of modalities."
        ) from error


def draw_windows(member: SeriesMember, file: Path, opset: int) -> None:
    """Writes a member's graph; its inputs have the names of the modalities."""
    arrays = [torch.randn(3, *modality.shape) for modality in member.modalities]
    arrays[0][1] = torch.nan
    torch.onnx.export(
        WindowGraph(member).eval(),
        tuple(arrays),
        file,
        dynamo=True,
        opset_version=opset,
        input_names=[modality.name for modality in member.modalities],
        output_names=["logits"],
        dynamic_shapes=(tuple({0: torch.export.Dim.DYNAMIC} for _ in arrays),),
        external_data=False,
        verbose=False,
    )
