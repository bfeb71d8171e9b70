"""Members that write, as folders for ``AutoModelForSeq2SeqLM``; checked before they are kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForSeq2SeqLM

from toprung.core.errors import FixEnvironment
from toprung.core.files import write_json
from toprung.data import rouge
from toprung.judge import consensus
from toprung.learn.backbone.load import save_tokenizer
from toprung.learn.member import load_plain
from toprung.learn.summaries import spelling
from toprung.learn.summaries.member import SummaryMember
from toprung.ship import standalone_writer
from toprung.ship.exporters._base import Export, copy_module, described
from toprung.ship.merge import write_adapter
from toprung.ship.seq2seq import as_encoder_decoder

_CLOSE = 1e-3
_WRITTEN, _COMPARED = 50, 8


def write_writers(export: Export, to: Path) -> list[str]:
    """Writes ``members/<trial>/model/`` and ``predict.py``; see ``Exporter.write``."""
    told: list[str] = []
    for entry in export.said["members"]:
        folder = to / "members" / entry["trial"]
        folder.mkdir(parents=True)
        told += _write_member(export, entry["trial"], folder)
    write_json(to / "ensemble.json", described(export))
    copy_module(standalone_writer, to, "predict")
    for module in (spelling, consensus, rouge):
        copy_module(module, to)
    texts = list(export.texts[:_WRITTEN])
    found, ours = standalone_writer.Ensemble(to).predict(texts), export.ensemble.predict(texts)
    same = sum(a == b for a, b in zip(found, ours, strict=True)) / len(texts)
    near = sum(rouge.agreement(a, str(b)) for a, b in zip(found, ours, strict=True)) / len(texts)
    return [
        *told,
        f"predict.py writes {len(texts):,} texts: {same:.1%} are the same as the ensemble's, the "
        f"mean agreement in words is {near:.3f} of 1.",
    ]


def _write_member(export: Export, trial: str, folder: Path) -> list[str]:
    member, facts = load_plain(export.source / "members" / trial)
    assert isinstance(member, SummaryMember)
    ids, mask, read = _sample(member, list(export.texts[:_COMPARED]))
    with torch.inference_mode():
        states = member.model.states(ids, mask)
        expected = member.model.decoder.logits(member.model.decoder(read, states, mask))
    written = as_encoder_decoder(member)
    written.model.save_pretrained(folder / "model")
    member.tokenizer.model_max_length = member.max_length
    save_tokenizer(member.tokenizer, folder / "model")
    write_json(folder / "spelling.json", member.spelling.to_json())
    told = []
    if written.adapter:
        told.append(write_adapter(folder / "adapter", written.adapter, written.lora, facts))
    kept = torch.from_numpy(member.model.decoder.vocabulary.ids)
    model: Any = AutoModelForSeq2SeqLM.from_pretrained(
        folder / "model", local_files_only=True, trust_remote_code=False, use_safetensors=True
    ).eval()
    with torch.inference_mode():
        found = model(ids, attention_mask=mask, decoder_input_ids=kept[read]).logits[..., kept]
    gap = float((found.log_softmax(-1) - expected.log_softmax(-1)).abs().max())
    if not gap <= _CLOSE:
        raise FixEnvironment(
            f"{folder}: the exported log-probabilities differ from the member's by {gap:.2g}, more "
            f"than {_CLOSE:g}; nothing was exported. Report this with the versions of transformers."
        )
    kind = type(model).__name__
    return [
        *told,
        f"{trial}: model/ loads with AutoModelForSeq2SeqLM ({kind}); log-probabilities differ by "
        f"{gap:.1e} at most.",
    ]


def _sample(member: SummaryMember, texts: list[str]) -> tuple[torch.Tensor, ...]:
    """Sources with their mask, and numbers that the decoder reads, spread over its vocabulary."""
    batch = member.tokenizer(
        texts, padding=True, truncation=True, max_length=member.max_length, return_tensors="pt"
    )
    vocabulary = member.model.decoder.vocabulary
    read = torch.linspace(0, len(vocabulary) - 1, len(texts) * 4).long().view(len(texts), 4)
    read[:, 0] = vocabulary.number(vocabulary.begin)
    return batch["input_ids"], batch["attention_mask"], read
