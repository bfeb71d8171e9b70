from __future__ import annotations

import multiprocessing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from toprung.learn.backbone.card import find_card
from toprung.learn.backbone.load import load_backbone
from toprung.learn.tokens import cached_tokens, count_tokens, tokenize

TEXTS = ["the apple", "", "a river nile indus volga rhine", "iron"]


@pytest.fixture
def tokenizer(encoders: dict[str, Path]) -> Any:
    return load_backbone(find_card(str(encoders["bert"]))).tokenizer


def test_tokens_are_those_of_the_tokenizer_cut_to_the_length(tokenizer: Any) -> None:
    tokens = tokenize(tokenizer, TEXTS, 5)
    for i, text in enumerate(TEXTS):
        own = tokens.ids[tokens.offsets[i] : tokens.offsets[i + 1]].tolist()
        assert own == tokenizer(text, truncation=True, max_length=5)["input_ids"]
    assert tokens.lengths.tolist() == [4, 2, 5, 3]
    assert count_tokens(tokenizer)(TEXTS) == [4, 2, 8, 3]


def test_the_cache_is_read_and_not_built_again(tokenizer: Any, tmp_path: Path) -> None:
    first = cached_tokens(tmp_path, tokenizer, "t", TEXTS, max_length=8)
    second = cached_tokens(tmp_path, None, "t", TEXTS, max_length=8)
    assert isinstance(second.ids, np.memmap)
    assert second.ids.tolist() == first.ids.tolist()


def test_another_tokenizer_length_or_text_has_its_own_tokens(
    tokenizer: Any, tmp_path: Path
) -> None:
    cached_tokens(tmp_path, tokenizer, "t", TEXTS, max_length=8)
    cached_tokens(tmp_path, tokenizer, "u", TEXTS, max_length=8)
    cached_tokens(tmp_path, tokenizer, "t", TEXTS, max_length=4)
    cached_tokens(tmp_path, tokenizer, "t", TEXTS[::-1], max_length=8)
    assert len(list(tmp_path.iterdir())) == 4


@pytest.mark.parametrize("file", ["ids.npy", "offsets.npy"])
def test_a_truncated_cache_is_built_again(tokenizer: Any, tmp_path: Path, file: str) -> None:
    first = cached_tokens(tmp_path, tokenizer, "t", TEXTS, max_length=8).ids.tolist()
    broken = next(tmp_path.glob(f"*/{file}"))
    broken.write_bytes(broken.read_bytes()[:-4])
    assert cached_tokens(tmp_path, tokenizer, "t", TEXTS, max_length=8).ids.tolist() == first


def build(encoder: str, cache: Path, start: Any, answers: Any) -> None:
    tokenizer = load_backbone(find_card(encoder)).tokenizer
    start.wait()
    tokens = cached_tokens(cache, tokenizer, "t", TEXTS * 500, max_length=8)
    answers.put(int(tokens.ids.sum()))


def test_two_processes_that_build_at_once_both_read_the_whole(
    encoders: dict[str, Path], tmp_path: Path
) -> None:
    context = multiprocessing.get_context("fork")
    start, answers = context.Barrier(3), context.Queue()
    arguments = (str(encoders["bert"]), tmp_path, start, answers)
    workers = [context.Process(target=build, args=arguments) for _ in range(3)]
    for worker in workers:
        worker.start()
    sums = {answers.get(timeout=60) for _ in workers}
    for worker in workers:
        worker.join(30)
    assert len(sums) == 1
    assert len(list(tmp_path.iterdir())) == 1
