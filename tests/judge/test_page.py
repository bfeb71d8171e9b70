"""The report as a page: whole, harmless, self-contained, and in step with the Markdown."""

from __future__ import annotations

import csv
import re
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from toprung.api import Search
from toprung.data.dataset import Dataset, Split
from toprung.data.metrics import METRICS
from toprung.data.tasks._base import Task
from toprung.data.tasks.multi_label import MultiLabel
from toprung.data.tasks.single_label import SingleLabel
from toprung.judge.calibrate import Calibration
from toprung.judge.report.material import Architecture, EnsembleSummary, Material, MemberSummary
from toprung.judge.report.page import render_page
from toprung.judge.report.parts import markdown_lines
from toprung.judge.report.write import compose, write_report
from toprung.judge.verdicts import Contender, judge_test, write_metrics
from toprung.trial.config import Resource
from toprung.trial.space import Float, Space

EVIL = (
    "</td></svg><script>alert(1)</script><img src=x onerror=alert(2)> $x^2$ {{7*7}} [a](http://b.c)"
)
VOID = {"meta", "br", "hr", "img", "input", "link"}


class Reader(HTMLParser):
    """Text and tags of a page; notes tags that are not closed in order."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text.append(data)


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    return reader


def events(names: tuple[str, ...], *, trials: int = 14) -> list[dict[str, Any]]:
    story: list[dict[str, Any]] = []

    def add(kind: str, **fields: Any) -> None:
        at = len(story) * 7.0
        story.append({"seq": len(story) + 1, "epoch": 1, "at": at, "kind": kind, **fields})

    add("opened")
    for who, value in {"majority": 0.1, "tfidf_logreg": 0.6}.items():
        add("baseline", name=who, metrics={"macro_f1": value, "log_loss": 1.0}, seconds=2.0)
    chance = np.random.default_rng(3)
    for i in range(1, trials + 1):
        trial, rate = f"t{i:04d}", float(chance.uniform(1e-4, 1e-1))
        values = {"pooling": ["mean", "cls"][i % 2], "learning_rate": rate, "max_length": 64}
        add("suggested", trial=trial, values=values, seed=1, source="random", bracket=0)
        add("started", trial=trial, attempt=1, **{"from": 0})
        points = (10, 20, 30) if i > trials - 4 else (10,)
        for resource in points:
            value = 0.2 + 5 * rate + resource / 300
            metrics = {"macro_f1": value, "log_loss": 1 - value, "train_loss": 1 - value}
            report = {"resource": resource, "metrics": metrics, "checkpoint": None}
            add("reported", trial=trial, seconds=resource / 2, **report)
            state = {10: "running" if len(points) > 1 else "stopped", 20: "running"}
            add(
                "decided", trial=trial, resource=resource, decision="x", reason=f"rung: {EVIL}",
                state=state.get(resource, "completed"), by="rule",
            )  # fmt: skip
    add(
        "diagnosed", trial="t0014", symptom="few_rows", title="too little data", resource=30,
        evidence=f"the rarest, '{names[1]}', has 3", remedy="Label more rows.", stops=False,
        of_data=True,
    )  # fmt: skip
    add("closed", reason="all were tried")
    return story


def material(
    names: tuple[str, ...] = ("good", EVIL, "c"), *, task: Task | None = None, rows: int = 300
) -> Material:
    task = task or SingleLabel()
    chance = np.random.default_rng(1)
    splits = {}
    for split, count in {"train": 300, "stopping": 60, "selection": 60, "test": rows}.items():
        labels = np.arange(count, dtype=np.int64) % len(names)
        if task.many:
            labels = np.eye(len(names), dtype=np.int64)[labels]
            labels[::5, 0] = 1
        texts = tuple(
            f"{EVIL if i % 9 == 0 else 'plain'} " + "word " * int(n)
            for i, n in enumerate(chance.integers(1, 30, size=count))
        )
        splits[split] = Split(split, texts, labels)
    data = Dataset(names, splits, "ab" * 32, notes=(f"3 rows of {EVIL} are empty",), task=task)
    truth = splits["test"].labels
    marks = task.marks(truth, len(names)).astype(float)
    limits = np.full(len(names), 0.4) if task.many else None

    def draw(strength: float) -> np.ndarray[Any, Any]:
        return (marks - 0.5) * strength + chance.normal(size=marks.shape)

    who = {"ensemble": 3.0, "best_trial": 2.5, "tfidf_logreg": 2.0}
    metric = task.metrics["macro_f1"]
    verdicts = judge_test(
        [Contender(name, draw(s), 9.0, thresholds=limits) for name, s in who.items()],
        truth,
        metric=metric,
        task=task,
        label_names=names,
        seed=7,
    )
    weights = {"t0014": 0.5, "t0013": 0.3, "t0012": 0.2}
    members = [MemberSummary(name, weight, EVIL, 0.8) for name, weight in weights.items()]
    built = [
        Architecture(one.trial, one.backbone, EVIL, 4, 64, {"pooling": EVIL}, (1000, 10), EVIL)
        for one in members
    ]
    return Material(
        name=EVIL,
        command="toprung search a.yaml",
        spec=f"name: '{EVIL}'\n",
        versions={"torch": "2.13.0"},
        dataset=data,
        events=events(names),
        metric=METRICS["macro_f1"],
        resource=Resource("examples", 10, 30, (10, 20, 30), (10, 30)),
        ladders={0: (10, 30)},
        ensemble=EnsembleSummary("greedy", members, Calibration(1.25, 0.08, 0.02), 8, 0.82, 0.8),
        verdicts=verdicts,
        architectures=built,
        member_logits={name: draw(3.0) for name in weights},
        space=Space({"learning_rate": Float(1e-4, 1e-1, log=True)}),
    )


TWO = ("negative", EVIL)
KINDS = {
    "three": material(),
    "two": material(TWO),
    "many": material(("x", EVIL, "y"), task=MultiLabel()),
    "hundred": material(tuple(f"class {i} {EVIL}" for i in range(100)), rows=400),
}


@cache
def written(name: str) -> tuple[str, str]:
    """Page and Markdown."""
    parts = compose(KINDS[name])
    return render_page(parts, KINDS[name]), "\n".join(markdown_lines(parts))


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_the_page_is_balanced_and_holds_only_what_the_template_put_there(kind: str) -> None:
    reader = read(written(kind)[0])
    assert (reader.open, reader.wrong) == ([], [])
    tags = {tag for tag, _ in reader.tags}
    assert not tags & {"script", "img", "iframe", "object", "form", "link"}
    links = [attrs["href"] for tag, attrs in reader.tags if tag == "a"]
    assert all(link is not None and link.startswith("#") for link in links)
    assert not any(name.startswith("on") for _, attrs in reader.tags for name in attrs)
    assert EVIL in "".join(reader.text)


def test_the_page_needs_nothing_from_elsewhere(kind: str) -> None:
    reader = read(written(kind)[0])
    for tag, attrs in reader.tags:
        for name, value in attrs.items():
            outside = re.search(r"https?:|//|url\((?!#)|@import", value or "")
            assert outside is None or tag == "meta", (tag, name, value)


def test_identifiers_are_unique_and_every_reference_has_its_target(kind: str) -> None:
    page = written(kind)[0]
    ids = [attrs["id"] for _, attrs in read(page).tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    wanted = set(re.findall(r'href="#([^"]+)"', page)) | set(re.findall(r"url\(#([^)]+)\)", page))
    assert wanted <= set(ids)


def test_page_and_markdown_tell_the_same_sections_and_numbers(kind: str) -> None:
    page, text = written(kind)
    titles = re.findall(r"^## (.*)$", text, flags=re.MULTILINE)
    assert re.findall(r"<h2>(.*)</h2>", page) == titles
    bare = re.sub(r"<figure>.*?</figure>", "", page, flags=re.DOTALL)
    numbers = re.findall(r"\d+\.\d{3,4}\b", text)
    assert len(numbers) > 50
    told = "".join(read(bare).text)
    assert {n for n in numbers if n not in told} == set()


def test_no_section_is_empty_and_nothing_is_a_placeholder(kind: str) -> None:
    page, text = written(kind)
    for part in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        assert len(part.strip().splitlines()) > 1
    for words in ("nan", "N/A", "None", "TODO", "inf", "Undefined"):
        assert re.search(rf"\b{words}\b", text) is None, words
        bare = re.sub(r"<svg.*?</svg>|<style>.*?</style>", "", page, flags=re.DOTALL)
        assert re.search(rf">[^<]*\b{words}\b", bare.replace("&", "")) is None, words
    for svg in re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL):
        assert "nan" not in svg


def test_numbers_equal_those_of_the_metrics_file(kind: str, tmp_path: Path) -> None:
    page, text = written(kind)
    verdicts = KINDS[kind].verdicts
    assert verdicts is not None
    write_metrics(tmp_path / "metrics.csv", verdicts)
    with (tmp_path / "metrics.csv").open() as file:
        for row in csv.DictReader(file):
            who = row.pop("who")
            (line,) = re.findall(rf"^\| `{who}` \| (?!\+|-)(.*)$", text, flags=re.MULTILINE)[:1]
            cells = line.split(" | ")
            assert cells[: len(row)] == [f"{float(value):.4f}" for value in row.values()]
            assert f"{float(row['macro_f1']):.4f}" in page


def test_colours_follow_the_page_and_the_file_stays_small(kind: str) -> None:
    page = written(kind)[0]
    assert "#0a0b" not in page
    assert "DejaVu Sans'" not in page
    assert "var(--accent)" in page
    assert len(page) < 3_000_000


def figures(page: str) -> list[str]:
    return re.findall(r"<h4>(.*?)</h4>", page)


def test_each_kind_of_task_has_its_own_charts() -> None:
    three = figures(written("three")[0])
    many = figures(written("many")[0])
    assert {"Confusion", "Reliability", "Rungs", "Timeline", "Importance"} <= set(three)
    assert {"Gain by size", "Disagreement", "Learning curves", "Configurations"} <= set(three)
    assert "Thresholds" in many
    assert "Confusion" not in many
    assert "Confusion" not in figures(written("hundred")[0])


def test_errors_show_real_rows_of_the_kind_that_the_task_has() -> None:
    two = written("two")[1]
    assert "### Confident false positives" in two
    assert "### Confident errors" not in two
    assert "### Confident errors" in written("three")[1]
    many = written("many")[1]
    assert "### Confident false negatives" in many
    assert "class in question" in many


def test_what_is_missing_takes_its_sections_with_it(tmp_path: Path) -> None:
    bare = replace(
        material(), ensemble=None, verdicts=None, ladders={}, events=[], architectures=(),
        member_logits={}, space=None,
    )  # fmt: skip
    write_report(tmp_path / "report.md", tmp_path / "report.html", bare)
    page, text = ((tmp_path / name).read_text() for name in ("report.html", "report.md"))
    titles = re.findall(r"^## (.*)$", text, flags=re.MULTILINE)
    assert titles == ["Leaderboard", "Search", "Data", "Configuration", "To repeat it"]
    assert read(page).wrong == []
    assert "Ensemble" not in "".join(figures(page))


def test_a_search_that_was_really_run_gives_a_whole_page(finished: Search) -> None:
    page = finished.folder.page.read_text()
    reader = read(page)
    assert (reader.open, reader.wrong) == ([], [])
    titles = re.findall(r"<h2>(.*)</h2>", page)
    for title in ("Calibration", "Errors", "Ensemble", "Search", "Architecture", "Data"):
        assert title in titles
    with finished.folder.metrics.open() as file:
        for row in csv.DictReader(file):
            assert f"{float(row['macro_f1']):.4f}" in page
    assert "parameters" in page
    assert len(list((finished.folder.predictions / "members").glob("*.npy"))) == 2
