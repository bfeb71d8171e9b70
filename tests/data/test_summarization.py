"""Dialogues with summaries: reading, splitting, what is refused, and ROUGE."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rouge_score.rouge_scorer import RougeScorer

from toprung.core.errors import FixData
from toprung.data.answers import as_texts, read_answers, write_answers
from toprung.data.check import check_dataset
from toprung.data.load import load_dataset
from toprung.data.rouge import ROUGE, sentences
from toprung.data.source import DataSource
from toprung.data.tasks.summarization import Summarization

GOOD = {"dialogue": "A: Hi!\nB: I am late.", "summary": "B is late."}


def source(path: Path, **more: Any) -> DataSource:
    columns = {"text": "dialogue", "label": "summary", "references": "summaries"}
    return DataSource(train=str(path), task="summarization", **{**columns, **more})


def write(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def numbered(count: int) -> list[dict[str, Any]]:
    return [{**GOOD, "dialogue": f"A: number {i}.\nB: yes."} for i in range(count)]


def test_scores_are_those_of_the_library_with_the_best_of_several_references() -> None:
    answer = "The dogs ran home. They were tired!"
    references = ("A dog runs home. It is tired.", "The dogs were running. They came home tired.")
    scorer = RougeScorer(list(ROUGE), use_stemmer=True)
    split = ["\n".join(sentences(text)) for text in references]
    expected = scorer.score_multi(split, "\n".join(sentences(answer)))
    task = Summarization()
    found = task.measure(as_texts([(answer, "other")]), as_texts([references]))
    assert found == {name: pytest.approx(expected[name].fmeasure) for name in ROUGE}
    one = task.measure(as_texts([(answer,)]), as_texts([references[:1]]))
    assert one["rouge1"] < found["rouge1"]


def test_rouge_by_hand() -> None:
    # 3 of 4 words and 1 of 3 pairs on both sides; the longest common subsequence has 3 words.
    found = Summarization().measure(as_texts([("a b x d",)]), as_texts([("a b c d",)]))
    assert found["rouge1"] == pytest.approx(3 / 4)
    assert found["rouge2"] == pytest.approx(1 / 3)
    assert found["rougeL"] == pytest.approx(3 / 4)


def test_several_references_go_before_the_summary(tmp_path: Path) -> None:
    rows = [*numbered(20), {**GOOD, "summaries": [" one ", "two"]}]
    data = load_dataset(source(write(tmp_path / "train.jsonl", rows)), 1)
    everywhere = [label for split in data.splits.values() for label in split.labels]
    assert ("one", "two") in everywhere
    assert ("B is late.",) in everywhere
    assert data.label_names == ()


def test_equal_dialogues_stay_in_one_split_and_other_summaries_change_the_hash(
    tmp_path: Path,
) -> None:
    rows = [{**row, "summary": f"S {n}."} for row in numbered(30) for n in range(2)]
    data = load_dataset(source(write(tmp_path / "train.jsonl", rows)), 1)
    homes: dict[str, set[str]] = {}
    for name, split in data.splits.items():
        for text in split.texts:
            homes.setdefault(text, set()).add(name)
    assert all(len(names) == 1 for names in homes.values())
    rows[0]["summary"] = "Another."
    other = load_dataset(source(write(tmp_path / "train.jsonl", rows)), 1)
    assert other.sha256 != data.sha256


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({**GOOD, "dialogue": " "}, "the text is empty. Fill it in"),
        ({**GOOD, "summary": ""}, "the summary is empty. Fill it in"),
        ({**GOOD, "summary": None}, "the summary is missing (null)"),
        ({**GOOD, "summary": 7}, "the summary is '7', not a string"),
        ({**GOOD, "summaries": []}, "the list of summaries is empty"),
        ({**GOOD, "summaries": ["fine", " "]}, "the summary is empty"),
    ],
)
def test_a_bad_row_is_told_with_its_file_and_line(
    tmp_path: Path, row: dict[str, Any], told: str
) -> None:
    path = write(tmp_path / "train.jsonl", [GOOD, row, *numbered(20)])
    with pytest.raises(FixData) as raised:
        load_dataset(source(path), 1)
    assert "train.jsonl:2" in str(raised.value)
    assert told in str(raised.value)


def test_a_wrong_column_is_told_once_with_the_nearest_name(tmp_path: Path) -> None:
    rows = [{"dialog": row["dialogue"], "summary": "S."} for row in numbered(20)]
    with pytest.raises(FixData, match=r"no column 'dialogue'. Did you mean 'dialog'"):
        load_dataset(source(write(tmp_path / "train.jsonl", rows)), 1)
    with pytest.raises(FixData, match="no column 'abstract'"):
        load_dataset(source(write(tmp_path / "train.jsonl", numbered(20)), label="abstract"), 1)


def test_the_check_counts_words_of_both_and_names_no_classes(tmp_path: Path) -> None:
    report = check_dataset(source(write(tmp_path / "train.jsonl", numbered(20))), 1)
    text = "\n".join(report.lines())
    assert "words of the summary" in text
    assert "classes" not in text


def test_answers_come_back_as_they_were_written(tmp_path: Path) -> None:
    texts = as_texts([("ä\n", "b"), ("c",)])
    write_answers(tmp_path / "one", texts)
    assert read_answers(tmp_path / "one").tolist() == texts.tolist()
    numbers = np.eye(2, dtype=np.float32)
    write_answers(tmp_path / "two", numbers)
    assert np.array_equal(read_answers(tmp_path / "two"), numbers)
