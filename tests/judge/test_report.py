from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from toprung.data.dataset import Dataset, Split
from toprung.data.metrics import METRICS
from toprung.data.tasks.single_label import SingleLabel
from toprung.judge.calibrate import Calibration
from toprung.judge.leaderboard import plain_text
from toprung.judge.report.markdown import code, code_block, escape, table
from toprung.judge.report.material import EnsembleSummary, Material, MemberSummary
from toprung.judge.report.write import render_report, write_report
from toprung.judge.verdicts import Contender, judge_test
from toprung.trial.config import Resource

EVIL = "<img src=x onerror=alert(1)> | [a](javascript:b) **c** `d` {{7*7}}"


def html(markdown: str) -> str:
    return MarkdownIt("commonmark").enable("table").render(markdown)


def dataset(names: tuple[str, ...]) -> Dataset:
    chance = np.random.default_rng(1)
    splits = {}
    for split, rows in {
        "train": 300,
        "stopping": 60,
        "selection": 60,
        "test": 120,
        "extra": 0,
    }.items():
        labels = np.arange(rows, dtype=np.int64) % len(names)
        texts = tuple("word " * int(n) for n in chance.integers(1, 30, size=rows))
        splits[split] = Split(split, texts, labels)
    return Dataset(names, splits, "ab" * 32, notes=("3 rows of <b>train</b> are empty",))


def events() -> list[dict[str, Any]]:
    story: list[dict[str, Any]] = []

    def add(kind: str, **fields: Any) -> None:
        number = len(story) + 1
        story.append({"seq": number, "epoch": 1, "at": number * 10.0, "kind": kind, **fields})

    add("opened")
    for name, value in {"majority": 0.1, "tfidf_logreg": 0.7}.items():
        add("baseline", name=name, metrics={"macro_f1": value}, seconds=2.0)
    for i in range(1, 21):
        trial = f"t{i:04d}"
        values = {"pooling": "mean", "learning_rate": 0.000123456}
        add("suggested", trial=trial, values=values, seed=1, source="random", bracket=0)
        add("started", trial=trial, attempt=1, **{"from": 0})
        for resource in (10, 30) if i > 16 else (10,):
            report = {"resource": resource, "metrics": {"macro_f1": i / 25}, "checkpoint": None}
            add("reported", trial=trial, seconds=resource / 2, **report)
            state = "completed" if resource == 30 else "running" if i > 16 else "stopped"
            add(
                "decided", trial=trial, resource=resource, decision="x", state=state,
                reason=f"rung {resource}: {EVIL if i == 3 else 'cut'}", by="rule",
            )  # fmt: skip
    add("suggested", trial="t0021", values={}, seed=1, source="random", bracket=0)
    add("started", trial="t0021", attempt=1, **{"from": 0})
    add(
        "failed", trial="t0021", message=f"ValueError: {EVIL}", state="failed",
        reason="not tried again", attempt=1, shrink=1, **{"class": "user_error"},
    )  # fmt: skip
    add("closed", reason="21 trials were tried")
    return story


def material(names: tuple[str, ...] = ("a", EVIL, "c")) -> Material:
    data = dataset(names)
    labels = data.splits["test"].labels
    chance = np.random.default_rng(2)
    contenders = [
        Contender(
            who, np.eye(len(names))[labels] * strength + chance.normal(size=(120, len(names))), 9.0
        )
        for who, strength in {"ensemble": 4.0, "best_trial": 3.0, "majority": 0.0}.items()
    ]
    metric = METRICS["macro_f1"]
    members = [
        MemberSummary("t0020", 0.6, "minilm", 0.8),
        MemberSummary("t0019", 0.4, "minilm", 0.79),
    ]
    return Material(
        name="a search",
        command="toprung search search/a.yaml seed=7",
        spec="task: single_label\nname: '```'\n",
        versions={"python": "3.11", "torch": "2.13.0"},
        dataset=data,
        events=events(),
        metric=metric,
        resource=Resource("examples", 10, 30, (10, 30)),
        ladders={0: (10, 30)},
        ensemble=EnsembleSummary("greedy", members, Calibration(1.25, 0.08, 0.02), 8, 0.82, 0.8),
        verdicts=judge_test(
            contenders, labels, metric=metric, task=SingleLabel(), label_names=names, seed=7
        ),
    )


@cache
def rendered() -> str:
    return render_report(material())


def section(text: str, title: str) -> str:
    return re.split(r"^## ", text, flags=re.MULTILINE)[
        [part.split("\n")[0] for part in re.split(r"^## ", text, flags=re.MULTILINE)].index(title)
    ]


def test_the_report_has_every_section_in_order() -> None:
    titles = re.findall(r"^## (.*)$", rendered(), flags=re.MULTILINE)
    assert titles == [
        "Results on the test split",
        "Calibration",
        "Ensemble",
        "Leaderboard",
        "Search",
        "Training",
        "Data",
        "Configuration",
        "To repeat it",
    ]


def test_text_of_users_is_shown_as_it_reads_and_never_as_markup() -> None:
    page = html(rendered())
    assert "<img" not in page
    assert "<a " not in page
    assert "<b>" not in page
    assert "<strong>c</strong>" not in page
    assert (
        page.count("&lt;img src=x onerror=alert(1)&gt; | [a](javascript:b) **c** `d` {{7*7}}") >= 4
    )


def test_every_table_keeps_its_columns_whatever_the_text() -> None:
    page = html(rendered())
    for found in re.findall(r"<table>.*?</table>", page, flags=re.DOTALL):
        widths = {
            len(re.findall(r"<t[dh]", line))
            for line in re.findall(r"<tr>.*?</tr>", found, re.DOTALL)
        }
        assert len(widths) == 1


def test_the_leaderboard_shows_the_best_fifteen_and_every_baseline() -> None:
    told = section(rendered(), "Leaderboard")
    trials = re.findall(r"^\| \d+ \| `(\w+)`", told, flags=re.MULTILINE)
    assert trials[:5] == ["t0020", "t0019", "t0018", "tfidf_logreg", "t0017"]
    assert len(trials) == 16
    assert trials[-1] == "majority"
    assert "7 more stand in `leaderboard.csv`." in told
    assert "`pooling=mean, learning_rate=0.0001235`" in told


def test_the_search_tells_what_was_saved_the_rungs_the_cuts_and_the_failures() -> None:
    told = section(rendered(), "Search")
    assert "21 trials: 4 completed, 1 failed, 16 stopped." in told
    assert "Early stopping spent 280 examples" in told
    assert (
        "would take 600: **53.3% saved**. In time that is 2 min 20 s against an estimated" in told
    )
    assert "| 10 | 20 | 4 | 0.6800 |" in told
    assert "| 30 | 4 | 0 |  |" in told
    assert "| `t0016` | 10 | rung 10: cut |" in told
    assert "| `t0021` | user error | 1 | failed | ValueError: " in told


def test_the_ensemble_tells_members_weights_temperature_and_calibration() -> None:
    told = section(rendered(), "Ensemble")
    assert "`greedy` chose 2 members of 8 trained candidates" in told
    assert "There it reaches `macro_f1` 0.8200; the best single candidate has 0.8000." in told
    assert "| `t0020` | minilm | 0.600 | 0.8000 |" in told
    assert "Temperature 1.250 softens the blend" in told
    assert "from 0.0800 to 0.0200" in told


def test_few_classes_give_the_whole_confusion_matrix_with_every_row() -> None:
    made = material()
    told = section(render_report(made), "Results on the test split")
    cells = re.findall(r"^\| (?:a|c) \| (\d+) \| (\d+) \| (\d+) \|$", told, flags=re.MULTILINE)
    assert [sum(map(int, row)) for row in cells] == [40, 40]
    assert "| class | precision | recall | F1 | AUC | average precision | support |" in told


def test_many_classes_give_the_most_confused_pairs_instead() -> None:
    names = tuple(f"class_{i:02d}" for i in range(30))
    whole = render_report(material(names))
    told = section(whole, "Results on the test split")
    assert "The most confused pairs:" in told
    rows = re.findall(r"^\| class_\d\d \| class_\d\d \| (\d+) \| ", told, flags=re.MULTILINE)
    assert [int(n) for n in rows] == sorted((int(n) for n in rows), reverse=True)
    assert "The 10 most frequent and the 10 rarest of 30 classes" in whole


def test_the_data_tells_rows_classes_lengths_and_notes() -> None:
    told = section(rendered(), "Data")
    assert "| `train` | 300 | 3 |" in told
    assert "`extra`" not in told
    assert "| a | 33.3% | 100 | 20 | 20 | 40 |" in told
    assert "3 rows of" in told


def test_what_was_not_done_is_not_told() -> None:
    text = render_report(replace(material(), ensemble=None, verdicts=None, ladders={}, events=[]))
    assert "## Ensemble" not in text
    assert "test split" not in text
    assert "saved" not in text
    assert "0 trials." in text


def test_the_report_ends_with_the_command_and_the_versions() -> None:
    told = section(rendered(), "To repeat it")
    assert "```sh\ntoprung search search/a.yaml seed=7\n```" in told
    assert "| torch | `2.13.0` |" in told


def test_the_same_material_gives_the_same_report(tmp_path: Path) -> None:
    pages = []
    for _ in range(2):
        write_report(tmp_path / "report.md", tmp_path / "report.html", material())
        assert (tmp_path / "report.md").read_text() == rendered()
        pages.append((tmp_path / "report.html").read_text())
    assert pages[0] == pages[1]


@given(
    st.text(st.characters(codec="utf-8"), max_size=40) | st.text("0.-+=)#>*_` |&<\\\\", max_size=12)
)
def test_escaped_text_renders_to_itself_alone_and_in_a_table(text: str) -> None:
    alone = html(escape(text)).removeprefix("<p>").removesuffix("</p>\n")
    (cell,) = re.findall("<td>(.*)</td>", html("\n".join(table(["h"], [[escape(text)]]))))
    for shown in (alone, cell):
        assert "<" not in shown
        assert unescape(shown) == plain_text(text)


@pytest.mark.parametrize("text", ["a|b", "`", "``x`", "", "<b>", "\\|"])
def test_code_in_a_table_stays_one_cell(text: str) -> None:
    page = html("\n".join(table(["h"], [[code(text)]])))
    assert len(re.findall("<td>", page)) == 1
    assert "<b>" not in page


def test_a_block_of_code_cannot_be_left_from_inside() -> None:
    page = html("\n".join(code_block("a\n```\n<script>\x1b[2J\n````\nb")))
    assert "<script>" not in page
    assert page.count("<pre>") == 1
