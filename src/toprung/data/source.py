"""Where the data of a search lies and how its rows are to be read."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from toprung.core.errors import Problem
from toprung.trial.space import Scalar


@dataclass(frozen=True)
class DataSource:
    """The ``data`` part of a spec: exactly one of ``train``, ``path`` and ``corpus``.

    Attributes:
        train: file: .jsonl, .json, .csv, .tsv or .parquet, each also gzipped as .gz; of series
            .npz.
        validation: file; carved from train where absent.
        test: file; carved from train where absent.
        path: folder with train, validation and test files, a folder that ``save_to_disk`` of
            datasets wrote, or a hub id ``organisation/name``.
        name: configuration of the hub's data set.
        revision: commit, tag or branch of the hub's data set.
        corpus: embedded generator, by name.
        corpus_options: its options.
        text: column of the text.
        label: column of the label.
        references: of summaries, column with a list of them; goes before ``label`` where a row
            has it.
        train_rows: size of a seeded stratified sub-sample of train; all rows where absent.
        validation_share: share of train that validation is carved from.
        test_share: share of train that test is carved from.
        base: folder that relative paths start from; the working directory is tried next.
        on_bad_row: ``skip`` leaves bad rows out and counts them.
        leaks: ``refuse`` data where more than 1 % of a split stands in another, or ``warn``.
        positive: of series, the class whose F1 is ``positive_f1``; the last one where absent.
        task: of the spec; says what a label is.
    """

    train: str | None = None
    validation: str | None = None
    test: str | None = None
    path: str | None = None
    name: str | None = None
    revision: str | None = None
    corpus: str | None = None
    corpus_options: Mapping[str, Scalar] = field(default_factory=dict)
    text: str = "text"
    label: str = "label"
    references: str | None = None
    train_rows: int | None = None
    validation_share: float = 0.1
    test_share: float = 0.1
    base: str = "."
    on_bad_row: Literal["fail", "skip"] = "fail"
    leaks: Literal["refuse", "warn"] = "refuse"
    positive: str | None = None
    task: str = "single_label"

    def problems(self) -> list[Problem]:
        """What contradicts itself here, before anything is read; empty where nothing does.

        >>> [str(problem) for problem in DataSource(train="a.csv", label="text").problems()]
        ["label: 'text' is the text column too. Name the column that holds the label."]
        """
        found: list[Problem] = []
        given = [key for key in ("train", "path", "corpus") if getattr(self, key)]
        if len(given) != 1:
            had = " and ".join(given) if given else "none"
            text = f"exactly one of train, path and corpus is needed, not {had}."
            found.append(Problem(given[-1] if given else "train", text))
        for key in ("validation", "test"):
            if getattr(self, key) and not self.train:
                found.append(Problem(key, "a file is given, but no file for train. Add train."))
        for key in ("name", "revision"):
            if getattr(self, key) and not self.path:
                found.append(Problem(key, "applies only to a hub id, given as path."))
        if self.corpus_options and not self.corpus:
            found.append(Problem("corpus_options", "applies only together with corpus."))
        found += [
            Problem(key, f"applies only to task: {task}. Leave it out.")
            for key, task in (("positive", "series"), ("references", "summarization"))
            if getattr(self, key) is not None and self.task != task
        ]
        if self.text == self.label:
            text = f"'{self.label}' is the text column too. Name the column that holds the label."
            found.append(Problem("label", text))
        if self.train_rows is not None and self.train_rows < 1:
            found.append(Problem("train_rows", f"{self.train_rows} is not 1 or more."))
        for key in ("validation_share", "test_share"):
            share = getattr(self, key)
            if not 0.0 < share <= 0.5:
                found.append(Problem(key, f"{share} is not above 0 and at most 0.5."))
        return found

    def locate(self, path: str) -> Path:
        """The file or folder of a path: as it is, below ``base``, or below the working directory.

        The result need not exist.
        """
        given = Path(os.path.expanduser(path))
        below = Path(self.base) / given
        return given if given.is_absolute() or (not below.exists() and given.exists()) else below
