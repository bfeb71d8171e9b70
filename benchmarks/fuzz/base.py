"""The sound files that are mutated: rows, a journal, a backbone, two small trained ensembles."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
import transformers
import yaml
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from toprung.api import Search
from toprung.api.opening import Settings

FINISHED = "finished"
WORDS = ("parcel", "refund", "login", "late", "money", "password", "where", "is", "my", "the")
SIZES = {
    "vocab_size": 20,
    "max_position_embeddings": 32,
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 16,
}
SMALL: dict[str, Any] = {
    "metric": "accuracy",
    "searcher": "random",
    "scheduler": {"asha": {"reduction_factor": 2}},
    "trial": {"precision": "float32"},
    "ensemble": {"uniform": {"members": 2, "candidates": 2}},
    "baselines": ["majority"],
    "seed": 3,
}


def build(folder: Path) -> None:
    """Writes all of them into a folder; nothing where that was done before."""
    if (folder / FINISHED).is_file():
        return
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    _write_rows(folder / "rows")
    _write_windows(folder / "windows")
    save_backbone(folder / "backbone")
    _write_journal(folder)
    _train(folder, "texts", _of_texts(folder))
    _train(folder, "series", _of_series(folder))
    (folder / FINISHED).touch()


def rows(count: int = 60) -> list[dict[str, Any]]:
    """Rows of three classes, in words that the small backbone knows."""
    return [
        {"text": f"{WORDS[n % 3]} {WORDS[n % 7]} {n}", "label": WORDS[n % 3]} for n in range(count)
    ]


def _write_rows(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    made = rows()
    lines = "".join(json.dumps(row) + "\n" for row in made)
    (folder / "rows.jsonl").write_text(lines, encoding="utf-8")
    (folder / "rows.json").write_text(json.dumps(made), encoding="utf-8")
    many = [{**row, "labels": json.dumps([row["label"]])} for row in made]
    for name, separator in (("rows.csv", ","), ("rows.tsv", "\t")):
        file = io.StringIO()
        writer = csv.DictWriter(file, ["text", "label", "labels"], delimiter=separator)
        writer.writeheader()
        writer.writerows(many)
        (folder / name).write_text(file.getvalue(), encoding="utf-8", newline="")
    table = pa.Table.from_pylist(made)
    pq.write_table(table, folder / "rows.parquet")
    pq.write_table(table, folder / "plain.parquet", compression="none", use_dictionary=False)
    nested = pa.Table.from_pylist([{"text": r["text"], "label": [r["label"], None]} for r in made])
    pq.write_table(nested, folder / "nested.parquet", compression="gzip", version="1.0")


def _write_windows(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for seed, (split, count) in enumerate((("train", 48), ("validation", 24), ("test", 16))):
        chance = np.random.default_rng(seed)
        labels = np.arange(count, dtype=np.int64) % 2
        acc = chance.normal(size=(count, 6, 2)).astype(np.float32) + labels[:, None, None]
        gyro = chance.normal(size=(count, 4, 1)).astype(np.float32)
        np.savez(
            folder / f"{split}.npz",
            acc=acc.astype(np.float32),
            gyro=gyro,
            labels=labels,
            label_names=np.array(["calm", "fall"]),
            modalities=np.array(["acc", "gyro"]),
            aux_peak=chance.normal(size=count).astype(np.float32),
        )
    with (
        zipfile.ZipFile(folder / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("acc.npy", "w", force_zip64=True) as member,
    ):
        header = {"descr": "<f4", "fortran_order": False, "shape": (1 << 18, 100, 10)}
        np.lib.format.write_array_header_1_0(member, header)
        for _ in range(400):
            member.write(bytes(1 << 20))


def save_backbone(folder: Path) -> None:
    """A BERT of a few thousand numbers with a tokenizer of words."""
    known = {word: place for place, word in enumerate(("[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS))}
    backend = Tokenizer(models.WordLevel(known, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    named = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]"}
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=backend, **{f"{name}_token": word for name, word in named.items()}
    )
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = transformers.AutoModel.from_config(transformers.BertConfig(**SIZES))
        model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _of_texts(folder: Path) -> dict[str, Any]:
    return {
        "task": "single_label",
        "data": {"train": str(folder / "rows" / "rows.jsonl"), "leaks": "warn"},
        "space": {
            "backbone": [str(folder / "backbone")],
            "adapter": {"lora": {"rank": 2}, "full": {}},
            "head": {"mlp": {}, "linear": {}},
            "max_length": 8,
            "batch_size": 8,
        },
        "resource": {"unit": "examples", "min": 16, "max": 32},
        "budget": {"trials": 2},
        **SMALL,
    }


def _of_series(folder: Path) -> dict[str, Any]:
    return {
        "task": "series",
        "data": {"path": str(folder / "windows")},
        "space": {"backbone": {"transformer": {"width": 8, "layers": 1, "heads": 2, "patch": 2}}},
        "resource": {"unit": "examples", "min": 16, "max": 32},
        "budget": {"trials": 2},
        **SMALL,
    }


def _train(folder: Path, name: str, tree: dict[str, Any]) -> None:
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump({"name": name, **tree}, sort_keys=False), encoding="utf-8")
    Search(str(path), settings=Settings(runner="inline", results=str(folder / "results"))).fit()


def _write_journal(folder: Path) -> None:
    tree = _of_texts(folder) | {"budget": {"trials": 6}, "name": "journal"}
    path = folder / "journal.yaml"
    path.write_text(yaml.safe_dump(tree, sort_keys=False), encoding="utf-8")
    Search(str(path), settings=Settings(runner="virtual", results=str(folder / "virtual"))).fit()
