"""ONNX graphs: drawn by torch's own exporter, opened by onnxruntime, and compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import nn

from toprung.core.errors import FixEnvironment

_OPSET = 18
_CLOSE = {"float32": 1e-3, "bfloat16": 0.5}


def draw(
    graph: nn.Module,
    given: Sequence[torch.Tensor],
    file: Path,
    *,
    names: Sequence[str],
    shapes: Sequence[Any],
) -> None:
    """Writes a graph from inputs to ``logits``.

    Args:
        graph: in ``eval`` mode.
        given: an example of its inputs.
        file: to write.
        names: of the inputs.
        shapes: their dynamic sizes, as of ``torch.export``.
    """
    torch.onnx.export(
        graph,
        tuple(given),
        file,
        dynamo=True,
        opset_version=_OPSET,
        input_names=list(names),
        output_names=["logits"],
        dynamic_shapes=tuple(shapes),
        external_data=False,
        verbose=False,
    )


def compare(
    file: Path,
    pieces: Iterable[tuple[Mapping[str, NDArray[Any]], NDArray[Any]]],
    precision: str,
) -> float:
    """The largest difference of a graph's logits to those expected.

    Args:
        file: of the graph.
        pieces: of all rows, one after the other: an array for each input, and (N, C) logits.
        precision: that those were computed in.

    Raises:
        FixEnvironment: onnxruntime does not load the graph, or the difference is too large.
    """
    try:
        session: Any = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    # Its errors have no class in common; an input that is named as a node of the graph is one.
    except Exception as error:
        raise FixEnvironment(
            f"{file}: onnxruntime does not load it ({error}); nothing was exported. Try another "
            "version of onnx, or other names of modalities."
        ) from error
    gaps = [np.abs(session.run(["logits"], dict(fed))[0] - right).max() for fed, right in pieces]
    gap = float(np.max(gaps))
    if not gap <= _CLOSE[precision]:
        raise FixEnvironment(
            f"{file}: its logits differ from the member's by {gap:.2g}, more than "
            f"{_CLOSE[precision]:g}; nothing was exported. Try another version of onnx."
        )
    return gap
