"""The embedded corpus: fixed bytes, sizes, no leaks, and hard enough for a bag of words."""

from __future__ import annotations

import hashlib
import json
from collections import Counter

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from toprung.data.corpora.tickets import Tickets
from toprung.data.load import load_dataset
from toprung.data.metrics import measure
from toprung.data.repeats import text_key
from toprung.data.source import DataSource

SHA256 = "b2a5b83b4754daed163ebc45ebb3a6bc746bdd9921cc44f564269dfdb8b2cec1"


def test_the_same_options_give_the_same_bytes_on_every_machine() -> None:
    text = json.dumps(Tickets().splits(), ensure_ascii=False)
    assert hashlib.sha256(text.encode()).hexdigest() == SHA256
    assert Tickets(seed=8).splits() != Tickets().splits()


def test_sizes_shares_and_lengths_are_as_described() -> None:
    splits = Tickets().splits()
    assert {name: len(rows) for name, rows in splits.items()} == {
        "train": 2976,
        "validation": 816,
        "test": 1008,
    }
    for rows in splits.values():
        counts = Counter(label for _, label in rows)
        assert len(counts) == 15
        assert 0.01 < min(counts.values()) / len(rows) < 0.02
        words = [len(text.split()) for text, _ in rows]
        assert min(words) >= 10
        assert max(words) <= 50


@pytest.mark.parametrize("rows", [600, 4800])
def test_no_text_stands_twice(rows: int) -> None:
    keys = [text_key(t) for part in Tickets(rows=rows).splits().values() for t, _ in part]
    assert len(keys) == len(set(keys)) == rows


def test_every_slot_and_wording_is_filled_in() -> None:
    texts = [text for rows in Tickets(rows=6000, seed=1).splits().values() for text, _ in rows]
    assert not [text for text in texts if any(sign in text for sign in "[]{}|")]


def test_a_bag_of_words_is_good_but_far_from_perfect() -> None:
    data = load_dataset(DataSource(corpus="tickets"), seed=7)
    train, test = data.splits["train"], data.splits["test"]
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    model = LogisticRegression(C=10, max_iter=300)
    model.fit(words.fit_transform(train.texts), train.labels)
    scores = np.asarray(model.decision_function(words.transform(test.texts)))
    assert 0.78 < measure(scores, test.labels)["macro_f1"] < 0.88
