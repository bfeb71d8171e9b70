"""Writes with an exported ensemble: python predict.py "a long text" "another one".

Needs torch, transformers and safetensors, and rouge-score where candidates vote: where there are
several members, or more than two beams. Without a text it reads JSON Lines: texts, or objects with
a "dialogue" or "text". Copied into every export of an ensemble that writes as predict.py, with
spelling.py, consensus.py and rouge.py.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

from toprung.learn.summaries.spelling import Spelling, words_of

_AT_ONCE = 16


class Writer:
    """One member: an encoder-decoder, its tokenizer, and how words are spelled.

    Args:
        folder: ``members/<name>`` of the export.
    """

    def __init__(self, folder: Path) -> None:
        safely: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
        self.model: Any = AutoModelForSeq2SeqLM.from_pretrained(
            folder / "model", use_safetensors=True, **safely
        ).eval()
        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder / "model", **safely)
        said = json.loads((folder / "spelling.json").read_text(encoding="utf-8"))
        self.spelling = Spelling.from_json(said)

    @torch.inference_mode()
    def candidates(self, texts: Sequence[str]) -> list[tuple[str, ...]]:
        """At most as many candidates of each text as there are beams, best first."""
        found: list[tuple[str, ...]] = []
        for start in range(0, len(texts), _AT_ONCE):
            found += self._write(list(texts[start : start + _AT_ONCE]))
        return found

    def _write(self, texts: list[str]) -> list[tuple[str, ...]]:
        batch = self.tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
        beams = self.model.generation_config.num_beams
        written = self.model.generate(
            batch["input_ids"], attention_mask=batch["attention_mask"], num_return_sequences=beams
        )
        config = self.model.generation_config
        special = {config.decoder_start_token_id, config.eos_token_id, config.pad_token_id}
        found = []
        for number, text in enumerate(texts):
            words = words_of(self.tokenizer, [text]) if self.spelling.words else {}
            rows = written[number * beams : (number + 1) * beams].tolist()
            pieces = [tuple(token for token in row if token not in special) for row in rows]
            spelled = [self.spelling.write(self.tokenizer, piece, words) for piece in pieces]
            found.append(tuple(dict.fromkeys(spelled)))
        return found


class Ensemble:
    """The members and their weights.

    Args:
        folder: of the export.
    """

    def __init__(self, folder: str | Path) -> None:
        root = Path(folder)
        self.said: dict[str, Any] = json.loads((root / "ensemble.json").read_text(encoding="utf-8"))
        trials = [member["trial"] for member in self.said["members"]]
        self.members = {trial: Writer(root / "members" / trial) for trial in trials}
        self.weights = {member["trial"]: member["weight"] for member in self.said["members"]}

    def predict(self, texts: Sequence[str]) -> list[str]:
        """The text of each row: the candidate that agrees most with those of all members."""
        answers = {trial: member.candidates(texts) for trial, member in self.members.items()}
        if len(answers) == 1:
            (only,) = answers.values()
            # Of two candidates each agrees with the other as much: the first is chosen.
            if all(len(candidates) <= 2 for candidates in only):
                return [candidates[0] for candidates in only]
        # Only here, as it needs rouge-score.
        from toprung.data.rouge import agreement  # noqa: PLC0415
        from toprung.judge.consensus import choose_texts  # noqa: PLC0415

        return choose_texts(answers, self.weights, agreement)


def _text(number: int, line: str) -> str:
    try:
        row = json.loads(line)
    except ValueError as error:
        sys.exit(f"line {number} is no JSON: {error}")
    names = ("dialogue", "text") if isinstance(row, dict) else ()
    texts = [row, *(row.get(name) for name in names)]
    found = next((text for text in texts if isinstance(text, str)), None)
    if found is None:
        sys.exit(f"line {number} is no text, and has no text as its 'dialogue' or 'text'")
    return found


if __name__ == "__main__":
    loaded = Ensemble(Path(__file__).parent)
    lines = [] if sys.argv[1:] else enumerate(sys.stdin, 1)
    given = sys.argv[1:] or [_text(number, line) for number, line in lines if line.strip()]
    for text, answer in zip(given, loaded.predict(given), strict=True):
        print(json.dumps({"text": text, "answer": answer}, ensure_ascii=False))
