"""Small rows and tiny encoders of every family, so that the real code runs in seconds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from toprung.data.dataset import Dataset, Split, hash_rows
from toprung.data.metrics import metric
from toprung.learn.backbone.card import find_card
from toprung.learn.trainer import Trainer
from toprung.trial.config import Assignment, Resource, TrialConfig

WORDS = {
    "fruit": ["apple", "pear", "plum", "melon"],
    "metal": ["iron", "tin", "copper", "zinc"],
    "river": ["rhine", "nile", "indus", "volga"],
}
FAMILIES = ("bert", "roberta", "electra", "distilbert", "deberta-v2", "modernbert")
SIZES: dict[str, Any] = {"vocab_size": 40, "max_position_embeddings": 64}
BERT_LIKE = {
    **SIZES,
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 32,
}
OPTIONS: dict[str, dict[str, Any]] = {
    "distilbert": {**SIZES, "dim": 16, "n_layers": 3, "n_heads": 2, "hidden_dim": 32},
    "electra": {**BERT_LIKE, "embedding_size": 8},
    "deberta-v2": {**BERT_LIKE, "relative_attention": True, "pos_att_type": ["p2c", "c2p"]},
    "modernbert": {
        **BERT_LIKE,
        "pad_token_id": 0,
        "cls_token_id": 2,
        "bos_token_id": 2,
        "sep_token_id": 3,
        "eos_token_id": 3,
    },
}


def save_tiny_encoder(folder: Path, family: str) -> Path:
    vocabulary = {w: i for i, w in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "a"])}
    for word in sorted(word for words in WORDS.values() for word in words):
        vocabulary[word] = len(vocabulary)
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    ends = [("[CLS]", 2), ("[SEP]", 3)]
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=ends
    )
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
    )
    config = transformers.AutoConfig.for_model(family, **OPTIONS.get(family, BERT_LIKE))
    with torch.random.fork_rng():
        torch.manual_seed(1)
        transformers.AutoModel.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def make_split(name: str, count: int, seed: int) -> Split:
    chance = np.random.default_rng(seed)
    labels = chance.integers(0, len(WORDS), count)
    labels[: len(WORDS)] = range(len(WORDS))
    texts = []
    for label in labels:
        own = list(WORDS.values())[label]
        length = int(chance.integers(1, 9))
        texts.append(" ".join(["the", *chance.choice([*own, "a", "the"], length), own[0]]))
    return Split(name, tuple(texts), labels.astype(np.int64))


def make_dataset() -> Dataset:
    sizes = {"train": 90, "stopping": 20, "selection": 20, "extra": 30}
    splits = {name: make_split(name, n, i) for i, (name, n) in enumerate(sizes.items())}
    return Dataset(tuple(WORDS), splits, hash_rows(list(WORDS), splits))


def make_assignment(number: int = 1, start: int = 0, **values: Any) -> Assignment:
    flat = {key.replace("__", "."): value for key, value in values.items()}
    flat = {"backbone": "tiny", "batch_size": 8, "learning_rate": 3e-3, **flat}
    return Assignment(TrialConfig(f"t{number:04d}", flat, seed=number), start=start)


def make_trainer(encoder: Path, root: Path, **changes: Any) -> Trainer:
    values: dict[str, Any] = {
        "task": "single_label",
        "dataset": make_dataset(),
        "metric": metric("accuracy"),
        "resource": Resource("examples", 60, 180, (60, 120, 180)),
        "folder": root / "trials",
        "cache": root / "cache",
        "cpus": 1,
        "device": "cpu",
        "cards": {"tiny": find_card(str(encoder))},
    }
    return Trainer(**{**values, **changes})


@pytest.fixture(scope="session")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("encoders")
    return {family: save_tiny_encoder(root / family, family) for family in FAMILIES}


@pytest.fixture
def trainer(encoders: dict[str, Path], tmp_path: Path) -> Callable[..., Trainer]:
    def make(**changes: Any) -> Trainer:
        return make_trainer(encoders["bert"], tmp_path, **changes)

    return make


@pytest.fixture
def assign() -> Callable[..., Assignment]:
    return make_assignment


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)
