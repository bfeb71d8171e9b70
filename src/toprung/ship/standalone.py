"""Predicts with an exported ensemble: python predict.py "a text" "another text".

Needs torch, transformers and safetensors, nothing else. Copied into every export as predict.py.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch.nn import functional
from transformers import AutoModel, AutoTokenizer

Weights = dict[str, torch.Tensor]
AT_ONCE = 32


class Scorer:
    """One member: an encoder, and its pooling and head as plain formulas.

    Args:
        encoder: a transformers model.
        weights: of pooling and head, by name.
        said: ``pooling`` and ``max_length``.
        tokenizer: where texts are scored.
    """

    def __init__(
        self, encoder: Any, weights: Weights, said: dict[str, Any], tokenizer: Any = None
    ) -> None:
        self.encoder = encoder
        self.weights = weights
        self.said = said
        self.tokenizer = tokenizer

    @classmethod
    def load(cls, folder: Path) -> Scorer:
        """The member in ``members/<name>``: ``encoder/``, ``head.safetensors``, ``head.json``."""
        said = json.loads((folder / "head.json").read_text(encoding="utf-8"))
        safely: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
        encoder: Any = AutoModel.from_pretrained(
            folder / "encoder", use_safetensors=True, **safely
        ).eval()
        tokenizer: Any = AutoTokenizer.from_pretrained(folder / "encoder", **safely)
        return cls(encoder, load_file(folder / "head.safetensors"), said, tokenizer)

    @torch.inference_mode()
    def logits(self, texts: Sequence[str]) -> torch.Tensor:
        """Scores of texts, (N, C) float32; a few at a time, as memory goes by those at once."""
        given = list(texts)
        found = [
            self._logits(given[start : start + AT_ONCE]) for start in range(0, len(given), AT_ONCE)
        ]
        return torch.cat(found or [torch.zeros(0, len(self.weights["head.score.weight"]))])

    def _logits(self, texts: list[str]) -> torch.Tensor:
        batch = self.tokenizer(
            texts,
            padding=True,
            truncation=True,
            max_length=self.said["max_length"],
            return_tensors="pt",
        )
        return self.score(batch["input_ids"], batch["attention_mask"])

    def score(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Scores from token ids and mask, both (N, T) int64 → (N, C) float32."""
        states = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        return self._head(self._pool(states, mask))

    def _linear(self, name: str, inputs: torch.Tensor) -> torch.Tensor:
        return functional.linear(
            inputs, self.weights[f"{name}.weight"], self.weights.get(f"{name}.bias")
        )

    def _pool(self, states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        kept = states.masked_fill(mask[..., None] == 0, 0.0)
        mean = kept.sum(1) / mask[..., None].sum(1)
        largest = states.masked_fill(mask[..., None] == 0, -torch.inf).amax(1)
        pooling = self.said["pooling"]
        if pooling == "attention":
            scores = self._linear(
                "pooling.score", torch.tanh(self._linear("pooling.project", kept))
            )
            shares = scores.squeeze(-1).masked_fill(mask == 0, -torch.inf).softmax(-1)
            return (shares[:, None] @ kept).squeeze(1)
        known = {"cls": states[:, 0], "mean": mean, "max": largest}
        return known[pooling] if pooling in known else torch.cat([mean, largest], dim=-1)

    def _head(self, vectors: torch.Tensor) -> torch.Tensor:
        if "head.up.weight" not in self.weights:
            return self._linear("head.score", vectors)
        inputs = vectors
        if "head.norm.weight" in self.weights:
            norm = self.weights["head.norm.weight"], self.weights["head.norm.bias"]
            inputs = functional.layer_norm(vectors, vectors.shape[-1:], *norm)
        inner = functional.gelu(self._linear("head.up", inputs))
        if "head.down.weight" in self.weights:
            inner = vectors + self._linear("head.down", inner)
        return self._linear("head.score", inner)


class Ensemble:
    """The members, their weights, temperature and thresholds.

    Args:
        folder: of the export.
    """

    def __init__(self, folder: str | Path) -> None:
        root = Path(folder)
        self.said: dict[str, Any] = json.loads((root / "ensemble.json").read_text(encoding="utf-8"))
        self.labels: list[str] = self.said["labels"]
        self.members = {
            member["trial"]: (_load(root / "members" / member["trial"], member), member["weight"])
            for member in self.said["members"]
        }

    def predict_proba(self, texts: Sequence[str]) -> torch.Tensor:
        """Calibrated probabilities, (N, C) float64."""
        many = self.said["task"] == "multi_label"
        blended = torch.zeros(len(texts), len(self.labels), dtype=torch.float64)
        for scorer, weight in self.members.values():
            logits = torch.as_tensor(scorer.logits(texts)).double()
            blended += weight * (logits.sigmoid() if many else logits.softmax(-1))
        temperature = self.said["temperature"]
        if many:
            return torch.sigmoid(blended.clamp(1e-12, 1 - 1e-12).logit() / temperature)
        return torch.softmax(blended.clamp(min=1e-12).log() / temperature, dim=-1)

    def predict(self, texts: Sequence[str]) -> list[Any]:
        """The label of each text, or its labels where there may be several."""
        return self.decide(self.predict_proba(texts))

    def decide(self, probabilities: torch.Tensor) -> list[Any]:
        """As ``predict``, of what ``predict_proba`` gave."""
        if self.said["task"] != "multi_label":
            return [self.labels[i] for i in probabilities.argmax(-1).tolist()]
        values = self.said["thresholds"]["values"]
        reached = probabilities >= torch.tensor([values[n] for n in self.labels]).double()
        return [
            [n for n, on in zip(self.labels, row, strict=True) if on] for row in reached.tolist()
        ]


def _load(folder: Path, said: dict[str, Any]) -> Any:
    if not said.get("baseline"):
        return Scorer.load(folder)
    # Only here, as it lies beside this file only where it is needed.
    from toprung.judge.baselines._plain import Words  # noqa: PLC0415

    with np.load(folder / "learned.npz", allow_pickle=False) as file:
        return Words(dict(file))


if __name__ == "__main__":
    loaded = Ensemble(Path(__file__).parent)
    given = sys.argv[1:] or [line.rstrip("\n") for line in sys.stdin]
    scored = loaded.predict_proba(given)
    for text, answer, shares in zip(given, loaded.decide(scored), scored.tolist(), strict=True):
        named = {name: round(p, 6) for name, p in zip(loaded.labels, shares, strict=True)}
        print(json.dumps({"text": text, "answer": answer, "probabilities": named}))
