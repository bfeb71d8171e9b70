"""Predicts with an exported ensemble: python predict.py windows.npz, one JSON line a window.

Needs numpy and onnxruntime, nothing else. Copied into every ONNX export of an ensemble on windows
as predict.py. The file holds an array (N, T, C) for each modality; one that is left out, or a
window of NaN only, is missing.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

_AT_ONCE = 256


class Ensemble:
    """The members' graphs, their weights and temperature.

    Args:
        folder: of the export.
    """

    def __init__(self, folder: str | Path) -> None:
        root = Path(folder)
        self.said: dict[str, Any] = json.loads((root / "ensemble.json").read_text(encoding="utf-8"))
        self.labels: list[str] = self.said["labels"]
        self.members = [
            (_load(root / "members" / member["trial"], member), member["weight"])
            for member in self.said["members"]
        ]

    @property
    def shapes(self) -> dict[str, list[int]]:
        """Steps and channels of each modality that is read."""
        return {name: list(s) for one, _ in self.members for name, s in one.shapes.items()}

    def predict_proba(self, arrays: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
        """Calibrated probabilities, (N, C), of windows (N, T, C) by modality.

        Raises:
            ValueError: windows of another shape than in training, or that cannot be read.
        """
        given = self._checked(arrays)
        many = self.said["task"] == "multi_label"
        rows = len(next(iter(given.values())))
        blended = np.zeros((rows, len(self.labels)))
        for start in range(0, rows, _AT_ONCE):
            part = {name: array[start : start + _AT_ONCE] for name, array in given.items()}
            for scorer, weight in self.members:
                logits = scorer.logits(part)
                shares = 1 / (1 + np.exp(-logits)) if many else _softmax(logits)
                blended[start : start + _AT_ONCE] += weight * shares
        temperature = self.said["temperature"]
        if not many:
            return _softmax(np.log(np.maximum(blended, 1e-12)) / temperature)
        sure = np.clip(blended, 1e-12, 1 - 1e-12)
        return np.asarray(1 / (1 + ((1 - sure) / sure) ** (1 / temperature)))

    def _checked(self, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
        """All modalities of the windows, those that are missing as NaN."""
        shapes = self.shapes
        found = {name: np.asarray(arrays[name], np.float32) for name in shapes if name in arrays}
        counts = {len(array) for array in found.values()}
        if len(counts) != 1:
            raise ValueError(f"the arrays {', '.join(shapes)} have {sorted(counts)} windows")
        (rows,) = counts
        there = np.zeros(rows, dtype=bool)
        for name, array in found.items():
            if list(array.shape[1:]) != shapes[name]:
                raise ValueError(f"{name} is {array.shape[1:]}, not {tuple(shapes[name])}")
            present = ~np.isnan(array).all(axis=(1, 2))
            broken = present & ~np.isfinite(array).all(axis=(1, 2))
            if broken.any():
                raise ValueError(f"window {broken.argmax()} of {name} has a NaN or an infinity")
            there |= present
        if not there.all():
            raise ValueError(f"window {(~there).argmax()} has none of {', '.join(shapes)}")
        empty = {n: np.full((rows, *shape), np.nan, np.float32) for n, shape in shapes.items()}
        return {**empty, **found}

    def predict(self, arrays: Mapping[str, NDArray[Any]]) -> list[Any]:
        """The label of each window, or its labels where there may be several."""
        return self.decide(self.predict_proba(arrays))

    def decide(self, probabilities: NDArray[np.float64]) -> list[Any]:
        """As ``predict``, of what ``predict_proba`` gave."""
        if self.said["task"] != "multi_label":
            return [self.labels[i] for i in probabilities.argmax(-1)]
        values = self.said["thresholds"]["values"]
        reached = probabilities >= np.array([values[name] for name in self.labels])
        return [[n for n, on in zip(self.labels, row, strict=True) if on] for row in reached]


class Graph:
    """A member's graph.

    Args:
        file: ``model.onnx``.
    """

    def __init__(self, file: Path) -> None:
        self._session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        self.shapes = {i.name: list(i.shape[1:]) for i in self._session.get_inputs()}

    def logits(self, arrays: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
        """Scores of windows (N, T, C) by modality, (N, C)."""
        fed = {name: arrays[name] for name in self.shapes}
        return np.asarray(self._session.run(["logits"], fed)[0], np.float64)


def _load(folder: Path, said: Mapping[str, Any]) -> Any:
    if not said.get("baseline"):
        return Graph(folder / "model.onnx")
    # Only here, as it lies beside this file only where it is needed.
    from toprung.judge.baselines._plain import Windows  # noqa: PLC0415

    with np.load(folder / "learned.npz", allow_pickle=False) as file:
        return Windows(dict(file))


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    shares = np.exp(logits - logits.max(-1, keepdims=True))
    return np.asarray(shares / shares.sum(-1, keepdims=True))


if __name__ == "__main__":
    loaded = Ensemble(Path(__file__).parent)
    with np.load(sys.argv[1], allow_pickle=False) as file:
        read = {name: file[name] for name in file.files if name in loaded.shapes}
    try:
        found = loaded.predict_proba(read)
    except ValueError as error:
        sys.exit(f"{sys.argv[1]}: {error}")
    for number, (answer, row) in enumerate(zip(loaded.decide(found), found.tolist(), strict=True)):
        named = {name: round(p, 6) for name, p in zip(loaded.labels, row, strict=True)}
        print(json.dumps({"row": number, "answer": answer, "probabilities": named}))
