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
            (
                onnxruntime.InferenceSession(
                    root / "members" / member["trial"] / "model.onnx",
                    providers=["CPUExecutionProvider"],
                ),
                member["weight"],
            )
            for member in self.said["members"]
        ]

    def predict_proba(self, arrays: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
        """Calibrated probabilities, (N, C), of windows (N, T, C) by modality."""
        many = self.said["task"] == "multi_label"
        rows = len(next(iter(arrays.values())))
        blended = np.zeros((rows, len(self.labels)))
        for session, weight in self.members:
            fed = {
                i.name: arrays[i.name].astype(np.float32)
                if i.name in arrays
                else np.full((rows, *i.shape[1:]), np.nan, np.float32)
                for i in session.get_inputs()
            }
            logits = session.run(["logits"], fed)[0].astype(np.float64)
            blended += weight * (1 / (1 + np.exp(-logits)) if many else _softmax(logits))
        temperature = self.said["temperature"]
        if not many:
            return _softmax(np.log(np.maximum(blended, 1e-12)) / temperature)
        sure = np.clip(blended, 1e-12, 1 - 1e-12)
        return np.asarray(1 / (1 + ((1 - sure) / sure) ** (1 / temperature)))

    def predict(self, arrays: Mapping[str, NDArray[Any]]) -> list[Any]:
        """The label of each window, or its labels where there may be several."""
        probabilities = self.predict_proba(arrays)
        if self.said["task"] != "multi_label":
            return [self.labels[i] for i in probabilities.argmax(-1)]
        values = self.said["thresholds"]["values"]
        reached = probabilities >= np.array([values[name] for name in self.labels])
        return [[n for n, on in zip(self.labels, row, strict=True) if on] for row in reached]


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    shares = np.exp(logits - logits.max(-1, keepdims=True))
    return np.asarray(shares / shares.sum(-1, keepdims=True))


if __name__ == "__main__":
    loaded = Ensemble(Path(__file__).parent)
    with np.load(sys.argv[1], allow_pickle=False) as file:
        known = {i.name for session, _ in loaded.members for i in session.get_inputs()}
        given = {name: file[name] for name in file.files if name in known}
    if not given:
        sys.exit(f"{sys.argv[1]} holds none of the arrays {', '.join(sorted(known))}.")
    for number, (answer, shares) in enumerate(
        zip(loaded.predict(given), loaded.predict_proba(given).tolist(), strict=True)
    ):
        named = {name: round(p, 6) for name, p in zip(loaded.labels, shares, strict=True)}
        print(json.dumps({"row": number, "answer": answer, "probabilities": named}))
