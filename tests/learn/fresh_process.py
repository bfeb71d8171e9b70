"""Run as a script: trains one trial, or scores texts with saved members, in a new process."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from toprung.data.dataset import Dataset, Split, hash_rows
from toprung.data.metrics import metric
from toprung.learn.backbone.card import find_card
from toprung.learn.member import load_member
from toprung.learn.trainer import Trainer
from toprung.trial.config import Assignment, Resource, TrialConfig


def train(order: dict[str, Any]) -> list[dict[str, float]]:
    """Trains a trial; its reports' metrics, and a hash of its last weights."""
    splits = {
        name: Split(name, tuple(rows["texts"]), np.array(rows["labels"], dtype=np.int64))
        for name, rows in order["splits"].items()
    }
    names = tuple(order["label_names"])
    trainer = Trainer(
        task="single_label",
        dataset=Dataset(names, splits, hash_rows(names, splits)),
        metric=metric("accuracy"),
        resource=Resource("examples", 48, 96, (48, 96)),
        folder=Path(order["folder"]),
        cache=Path(order["folder"]) / "cache",
        cpus=1,
        device="cpu",
        precision=order["precision"],
        cards={"minilm": find_card("minilm")},
    )
    config = TrialConfig(order["trial"], order["values"], order["seed"])
    reports = [dict(report.metrics) for report in trainer(Assignment(config))]
    for metrics in reports:
        del metrics["rows_per_second"]
    return reports


def score(order: dict[str, Any]) -> dict[str, Any]:
    """Hashes of members' scores, and how many encoders' worth of frozen weights are in memory."""
    members = [load_member(Path(path), "cpu") for path in order["members"]]
    hashes = [hashlib.sha256(m.logits(order["texts"]).tobytes()).hexdigest() for m in members]
    words = {
        id(p)
        for m in members
        for name, p in m.model.named_parameters()
        if name.endswith("word_embeddings.weight")
    }
    return {"hashes": hashes, "word_embeddings": len(words)}


if __name__ == "__main__":
    torch.set_num_threads(1)
    given = json.loads(sys.stdin.read())
    print(json.dumps(train(given) if "trial" in given else score(given)))
