"""Folders that transformers and PEFT load: merged, as an adapter, and with a plain script."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from transformers import AutoModelForSequenceClassification

from toprung.core.errors import FixEnvironment
from toprung.core.files import write_json
from toprung.learn.backbone.load import save_tokenizer
from toprung.learn.member import Member
from toprung.ship import standalone
from toprung.ship.exporters._base import (
    Export,
    Exporter,
    copy_module,
    described,
    facts_of_head,
    write_baseline,
)
from toprung.ship.exporters._writing import write_writers
from toprung.ship.merge import Merged, merge, write_adapter
from toprung.ship.sequence import as_sequence_classifier
from toprung.ship.standalone import AT_ONCE

_CLOSE = {"float32": 1e-4, "bfloat16": 5e-2}
_CLOSE_LOGITS = {"float32": 1e-3, "bfloat16": 0.5}


class Huggingface(Exporter):
    """For each member: ``encoder/`` for ``AutoModel``, ``head.safetensors``, and what fits.

    Where the pooling is ``cls`` and the head linear, ``classifier/`` is a folder that
    ``AutoModelForSequenceClassification`` and ``pipeline`` load as it is. A LoRA member has its
    ``adapter/`` for PEFT apart. ``predict.py`` needs torch, transformers and safetensors alone,
    and answers as the whole ensemble does, baselines among its members included. A member that
    writes is one ``model/`` for ``AutoModelForSeq2SeqLM``.
    """

    forms = (("texts", "classes"), ("texts", "texts"))
    library = "transformers"

    def write(self, export: Export, to: Path) -> list[str]:
        if export.ensemble.task.answers == "texts":
            return write_writers(export, to)
        told: list[str] = []
        for entry in export.said["members"]:
            if entry.get("baseline"):
                told.append(write_baseline(export, entry["trial"], to))
                continue
            folder = to / "members" / entry["trial"]
            folder.mkdir(parents=True)
            merged = merge(export.source / "members" / entry["trial"])
            told += self._write_member(export, merged, folder)
        write_json(to / "ensemble.json", described(export))
        copy_module(standalone, to, "predict")
        return [*told, _check_ensemble(export, to)]

    def _write_member(self, export: Export, merged: Merged, folder: Path) -> list[str]:
        labels = list(export.ensemble.labels)
        encoder = folder / "encoder"
        merged.encoder.save_pretrained(encoder)
        save_tokenizer(merged.tokenizer, encoder)
        save_file(merged.head, folder / "head.safetensors")
        said = facts_of_head(merged)
        pooling, length = said["pooling"], said["max_length"]
        write_json(folder / "head.json", said)
        trial = merged.facts["trial"]
        told = []
        if merged.adapter:
            told.append(
                write_adapter(folder / "adapter", merged.adapter, merged.lora, merged.facts)
            )
        head = str(merged.facts["values"].get("head") or "linear")
        model = None
        if pooling == "cls" and head == "linear":
            model = as_sequence_classifier(merged, labels, many=export.ensemble.task.many)
        if model is None:
            told.append(
                f"{trial}: pooling {pooling} and head {head} are none that transformers has a "
                "class for; load encoder/ with AutoModel, or use predict.py."
            )
            return told
        model.save_pretrained(folder / "classifier")
        merged.tokenizer.model_max_length = length
        save_tokenizer(merged.tokenizer, folder / "classifier")
        gap = _check_classifier(export, folder / "classifier", trial, length)
        return [*told, f"{trial}: classifier/ loads with pipeline; logits differ by {gap:.1e}."]


def _check_classifier(export: Export, folder: Path, trial: str, length: int) -> float:
    model = AutoModelForSequenceClassification.from_pretrained(
        folder, local_files_only=True, trust_remote_code=False, use_safetensors=True
    ).eval()
    member = export.ensemble.members[trial]
    assert isinstance(member, Member)
    tokenizer = member.tokenizer
    found = []
    for start in range(0, len(export.texts), AT_ONCE):
        texts = list(export.texts[start : start + AT_ONCE])
        batch = tokenizer(
            texts, padding=True, truncation=True, max_length=length, return_tensors="pt"
        )
        with torch.inference_mode():
            scored = model(batch["input_ids"], attention_mask=batch["attention_mask"])
        found.append(scored.logits.numpy())
    gap = float(np.abs(np.concatenate(found) - member.logits(export.texts)).max())
    precision = json.loads((export.source / "members" / trial / "member.json").read_text())
    allowed = _CLOSE_LOGITS[precision["precision"]]
    if not gap <= allowed:
        raise FixEnvironment(
            f"{folder}: its logits differ from the member's by {gap:.2g}, more than {allowed:g}; "
            f"nothing was exported. Report this with the versions of transformers."
        )
    return gap


def _check_ensemble(export: Export, to: Path) -> str:
    """Compares what the exported files say with what the ensemble says."""
    loaded = standalone.Ensemble(to)
    found = loaded.predict_proba(export.texts).numpy()
    expected = export.ensemble.predict_proba(export.texts)
    gap = float(np.abs(found - expected).max())
    precision = {
        json.loads((export.source / "members" / e["trial"] / "member.json").read_text())[
            "precision"
        ]
        for e in export.said["members"]
        if not e.get("baseline")
    }
    allowed = max(_CLOSE[name] for name in precision)
    if not gap <= allowed:
        raise FixEnvironment(
            f"{to}: the exported probabilities differ from the ensemble's by {gap:.2g}, more than "
            f"{allowed:g}; nothing was exported. Report this with the versions of transformers."
        )
    same = np.mean([a == b for a, b in zip(
        map(tuple, map(_listed, loaded.predict(export.texts))),
        map(tuple, map(_listed, export.ensemble.predict(export.texts))), strict=True)])  # fmt: skip
    return (
        f"predict.py answers {len(export.texts):,} texts: {same:.1%} of the answers are the same, "
        f"probabilities differ by {gap:.1e} at most."
    )


def _listed(answer: object) -> list[str]:
    return [answer] if isinstance(answer, str) else [str(name) for name in answer]  # type: ignore[attr-defined]
