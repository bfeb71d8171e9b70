"""Rows in, labelled rows out: from files, from standard input, and with bad rows."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from toprung.api import Search

Toprung = Callable[..., Any]
TEXTS = ["my parcel is late", "ich möchte mein Geld zurück ✉"]


def lines(*rows: object) -> bytes:
    return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)


def test_standard_input_to_standard_output(toprung: Toprung, finished: Search) -> None:
    given = lines({"id": 1, "text": TEXTS[0]}, {"text": TEXTS[1], "x": [1, None]})
    answer = toprung("predict", finished.folder.root, "-", stdin=given)
    assert answer.code == 0
    rows = [json.loads(line) for line in answer.out.splitlines()]
    assert [row["label"] for row in rows] == finished.predict(TEXTS)
    assert (rows[0]["id"], rows[1]["x"], rows[1]["text"]) == (1, [1, None], TEXTS[1])
    for row, expected in zip(rows, finished.predict_proba(TEXTS), strict=True):
        assert list(row["probabilities"].values()) == pytest.approx(list(expected), abs=1e-6)


def test_a_file_to_a_file(toprung: Toprung, finished: Search, tmp_path: Path) -> None:
    rows, out = tmp_path / "rows.jsonl", tmp_path / "new" / "out.jsonl"
    rows.write_bytes(b"\xef\xbb\xbf" + lines(*({"text": t} for t in TEXTS)).replace(b"\n", b"\r\n"))
    answer = toprung("predict", finished.folder.ensemble, rows, "-o", out)
    assert (answer.code, answer.out) == (0, "")
    told = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert [row["label"] for row in told] == finished.predict(TEXTS)


def test_the_text_may_stand_in_another_field_or_alone(toprung: Toprung, finished: Search) -> None:
    given = lines({"body": TEXTS[0], "text": 3}, TEXTS[1]) + b"\n  \n"
    answer = toprung("predict", finished.folder.root, "-", "--text", "body", stdin=given)
    assert answer.code == 0
    told = [json.loads(line) for line in answer.out.splitlines()]
    assert [row["body"] for row in told] == TEXTS


def test_what_a_row_says_itself_is_kept(toprung: Toprung, finished: Search) -> None:
    given = lines({"text": TEXTS[0], "label": "mine", "probabilities": None})
    row = json.loads(toprung("predict", finished.folder.root, "-", stdin=given).out)
    assert (row["given_label"], row["given_probabilities"]) == ("mine", None)
    assert row["label"] == finished.predict(TEXTS[:1])[0]
    again = json.loads(toprung("predict", finished.folder.root, "-", stdin=lines(row)).out)
    assert again == row


def test_no_rows_give_no_rows(toprung: Toprung, finished: Search, tmp_path: Path) -> None:
    assert toprung("predict", finished.folder.root, "-").out == ""
    rows, out = tmp_path / "rows.jsonl", tmp_path / "out.jsonl"
    rows.write_bytes(b"")
    assert toprung("predict", finished.folder.root, rows, "-o", out).code == 0
    assert out.read_bytes() == b""


GOOD = lines({"text": "x" * 9000})
BAD: dict[str, tuple[bytes, str]] = {
    "half an object": (b'{"text": ', "not JSON"),
    "a word": (b"late", "not JSON"),
    "no text": (b'{"body": "late"}', "the row has: body"),
    "a number as text": (b'{"text": 3}', "no text there"),
    "a list": (b'["late"]', "the row has: list"),
    "latin-1": ('{"text": "zurück"}'.encode("latin-1"), "not UTF-8"),
    "utf-16": ('{"text": "late"}'.encode("utf-16"), "not UTF-8"),
    "half a surrogate": (b'{"text": "\\ud800"}', "surrogates"),
    "NaN": (b'{"text": "late", "x": NaN}', "NaN is not a JSON number"),
    "a pit of brackets": (b"[" * 100_000, "not JSON"),
    "a NUL": (b"\0", "not JSON"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_row_is_told_with_its_line(
    case: str, toprung: Toprung, finished: Search, tmp_path: Path
) -> None:
    row, said = BAD[case]
    rows, out = tmp_path / "rows.jsonl", tmp_path / "out.jsonl"
    rows.write_bytes(GOOD * 3 + b"\n" + row + b"\n" + GOOD)
    answer = toprung("predict", finished.folder.root, rows, "-o", out)
    assert answer.code == 2
    assert "line 5" in answer.err
    assert said in answer.err
    assert "Traceback" not in answer.err
    assert not out.exists()
    assert toprung("predict", finished.folder.root, "-", stdin=rows.read_bytes()).code == 2


def test_a_file_that_is_not_there_is_bad_data(toprung: Toprung, finished: Search) -> None:
    answer = toprung("predict", finished.folder.root, "no-such.jsonl")
    assert answer.code == 2
    assert "No such file" in answer.err


def test_a_place_that_cannot_be_written_is_an_environment_to_fix(
    toprung: Toprung, finished: Search, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    rows = tmp_path / "rows.jsonl"
    rows.write_bytes(lines({"text": "late"}))
    answer = toprung("predict", finished.folder.root, rows, "-o", tmp_path / "file" / "out.jsonl")
    assert answer.code == 3
    assert "Traceback" not in answer.err
    assert "--debug" in answer.err


def test_a_changed_member_is_an_environment_to_fix(toprung: Toprung, copied: Search) -> None:
    weights = next(copied.folder.ensemble.rglob("weights.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-1] + b"\1")
    answer = toprung("predict", copied.folder.root, "-", stdin=lines({"text": "late"}))
    assert answer.code == 3
    assert "SHA-256 differs" in " ".join(answer.err.split())
