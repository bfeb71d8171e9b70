from __future__ import annotations

import subprocess
import sys
import time
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


BUILDER = """
import sys, time
from pathlib import Path
from toprung.learn.tokens import cached_tokens

def tokenizer(texts, **options):
    return {"input_ids": [[len(word) for word in text.split()] for text in texts]}

cache, ready = Path(sys.argv[1]), Path(sys.argv[2])
ready.touch()
while not (ready.parent / "go").exists():
    time.sleep(0.001)
texts = ["so many words in each of these rows"] * 20000
print(int(cached_tokens(cache, tokenizer, "t", texts, max_length=8).ids.sum()))
"""


def test_processes_that_build_at_once_all_read_the_whole(tmp_path: Path) -> None:
    cache, starts = tmp_path / "cache", tmp_path / "starts"
    starts.mkdir()
    ready = [starts / str(number) for number in range(3)]
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", BUILDER, str(cache), str(path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for path in ready
    ]
    deadline = time.monotonic() + 60
    while not all(path.exists() for path in ready) and time.monotonic() < deadline:
        time.sleep(0.01)
    (starts / "go").touch()
    answers = [worker.communicate(timeout=60) for worker in workers]
    assert {out.strip() for out, _ in answers} == {str(28 * 20000)}, answers
    assert len(list(cache.iterdir())) == 1
