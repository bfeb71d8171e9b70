"""Loads the rows of a source into the splits of a search, or tells all that is wrong."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from toprung.core.errors import FixData, Problem
from toprung.core.seeds import derive_seed
from toprung.data import tasks
from toprung.data.classes import check_other, check_train
from toprung.data.dataset import Dataset, Split, hash_rows
from toprung.data.labels import sorted_names
from toprung.data.load_series import load_series
from toprung.data.repeats import Repeats
from toprung.data.rows import LONGEST, Problems, Table
from toprung.data.source import DataSource
from toprung.data.split import carve, part, sample
from toprung.data.stores import registry
from toprung.data.stores.files import shown
from toprung.data.tasks._base import Label

LEAKS_ALLOWED = 0.01
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*\Z")


@dataclass(frozen=True)
class Tables:
    """The checked rows before their labels become numbers.

    Attributes:
        splits: ``train``, ``validation``, ``test``, and ``extra``, left out by ``train_rows``.
        repeats: the keys of their texts.
        notes: counted warnings in words.
    """

    splits: Mapping[str, Table]
    repeats: Repeats
    notes: tuple[str, ...]


def load_dataset(source: DataSource, seed: int) -> Dataset:
    """The source's rows: read, checked, split and numbered.

    Args:
        source: where they lie.
        seed: of carving, halving and sub-sampling; a source with all its splits and no
            ``train_rows`` has the same rows under every seed, but other validation halves.

    Raises:
        FixData: every problem of every file, with file and line, or file and array.
        FixEnvironment: a hub id that cannot be reached from here.
    """
    if tasks.registry.get(source.task).reads == "series":
        return load_series(source, seed)
    tables = load_tables(source, seed)
    task = tasks.registry.get(source.task)()
    written = task.answers == "texts"
    names = () if written else sorted_names(tables.splits["train"].classes())
    validation = tables.splits["validation"]
    keys = tables.repeats.keys(validation)
    kept = len(task.splits)
    shares = part(_classes(validation), keys, derive_seed(seed, "data", "halves"), parts=kept)
    held_out = dict(zip(task.splits, map(validation.keep, shares), strict=True))
    whole = {name: tables.splits[name] for name in ("train", "test", "extra")}
    parts = {"train": whole["train"], **held_out, **whole}
    splits = {
        name: Split(name, tuple(t.texts), task.encode(t.labels, names)) for name, t in parts.items()
    }
    return Dataset(names, splits, hash_rows(names, splits), tables.notes, task)


def _classes(table: Table) -> Sequence[Label]:
    """What rows are spread by: their labels, or nothing where these are texts."""
    return [""] * len(table) if table.written else table.labels


def load_tables(source: DataSource, seed: int) -> Tables:
    """The source's rows with their places, checked and split, as ``load_dataset`` does."""
    wrong = source.problems()
    if wrong:
        raise FixData("data", wrong)
    problems = Problems(skip_rows=source.on_bad_row == "skip")
    tables = _read(source, problems)
    _raise(source, problems)
    _check_classes(tables, problems)
    _raise(source, problems)
    repeats = Repeats()
    notes = _count_notes(tables, repeats, problems)
    _check_leaks(tables, repeats, problems, notes, warn=source.leaks == "warn")
    _raise(source, problems)
    _carve(tables, source, repeats, problems, notes, seed=seed)
    _sample(tables, source, problems, notes, seed=seed)
    parts = tasks.registry.get(source.task).splits
    if not problems and len(tables["validation"]) < len(parts):
        rows = len(tables["validation"])
        text = f"{rows} row{'s' * (rows != 1)}; at least {len(parts)} are needed, one for each of"
        problems.add("validation", f"{text} {', '.join(parts)}. Add rows.")
    _raise(source, problems)
    return Tables(tables, repeats, tuple(notes))


def _check_classes(tables: dict[str, Table], problems: Problems) -> None:
    if tables["train"].written:
        return
    train = tables["train"] = check_train(tables["train"], problems)
    for split in ("validation", "test"):
        if split in tables:
            tables[split] = check_other(tables[split], sorted_names(train.classes()), problems)


def _raise(source: DataSource, problems: Problems) -> None:
    if problems:
        raise FixData(source.train or source.path or source.corpus or "data", problems.found)


def _read(source: DataSource, problems: Problems) -> dict[str, Table]:
    tables: dict[str, Table] = {}
    task = tasks.registry.get(source.task)
    for split, file, rows in registry.get(_store(source))().parts(source):
        table = tables.setdefault(
            split, Table(split, many=task.many, written=task.answers == "texts")
        )
        table.add_file(file, rows, problems)
    return tables


def _store(source: DataSource) -> str:
    if source.corpus:
        return "corpus"
    if source.train or not source.path:
        return "files"
    path = source.locate(source.path)
    if path.is_dir():
        saved = any((path / name).is_file() for name in ("dataset_dict.json", "state.json"))
        return "saved" if saved else "folder"
    if path.is_file():
        text = "a file, not a folder. Give it as data.train."
        raise FixData("data.path", [Problem(shown(path), text)])
    if _HUB_ID.match(source.path):
        return "hub"
    text = "no such folder, and no hub id (organisation/name) either. Correct the path."
    raise FixData("data.path", [Problem(source.path, text)])


def _count_notes(tables: Mapping[str, Table], repeats: Repeats, problems: Problems) -> list[str]:
    notes: list[str] = []
    if problems.skipped:
        notes.append(f"{problems.skipped:,} bad rows were skipped (on_bad_row: skip).")
    for table in tables.values():
        if table.cut:
            rows = "1 text" if len(table.cut) == 1 else f"{len(table.cut):,} texts"
            cut = f"cut to {LONGEST:,} characters (first: {table.cut[0]})"
            notes.append(f"{rows} of {table.split} {cut}.")
        conflict = None if table.written else repeats.conflicts(table)
        if conflict:
            notes.append(f"{conflict}.")
    repeated = repeats.duplicates(tables["train"])
    if repeated:
        rows = "1 row" if repeated == 1 else f"{repeated:,} rows"
        notes.append(f"{rows} of train repeat an earlier text.")
    return notes


def _check_leaks(
    tables: Mapping[str, Table],
    repeats: Repeats,
    problems: Problems,
    notes: list[str],
    *,
    warn: bool,
) -> None:
    pairs = (("test", "train"), ("test", "validation"), ("validation", "train"))
    for split, inside in pairs:
        if split not in tables or inside not in tables:
            continue
        leak = repeats.leak(tables[split], tables[inside])
        if leak is None:
            continue
        if warn or leak.share <= LEAKS_ALLOWED:
            notes.append(f"{leak}.")
        else:
            step = f"remove them from {inside}, or accept them with data.leaks: warn"
            limit = f"more than {LEAKS_ALLOWED:.0%} makes scores too good"
            problems.add(leak.example[0], f"{leak}; {limit}: {step}.")


def _carve(
    tables: dict[str, Table],
    source: DataSource,
    repeats: Repeats,
    problems: Problems,
    notes: list[str],
    *,
    seed: int,
) -> None:
    shares = {"test": source.test_share, "validation": source.validation_share}
    total = len(tables["train"])
    for split, share in shares.items():
        if split in tables:
            continue
        train = tables["train"]
        others = [repeats.keys(table) for name, table in tables.items() if name != "train"]
        fixed = {key for keys in others for key in keys}
        here = derive_seed(seed, "data", split)
        exact = min(0.5, share * total / len(train))
        leave = carve(_classes(train), repeats.keys(train), exact, here, fixed=fixed)
        if not leave:
            text = "cannot be carved from train: no class has 3 different texts. Give a file."
            problems.add(split, text)
        gone = set(leave)
        tables[split] = train.keep(leave, split)
        tables["train"] = train.keep(i for i in range(len(train)) if i not in gone)
        share_of = "" if train.written else ", each class by its share"
        rows = f"{len(leave):,} rows of train{share_of}"
        notes.append(f"{split} was carved from train: {rows}.")
        if train.written:
            continue
        left_out = sorted(train.classes() - tables[split].classes())
        if left_out:
            few = ", ".join(left_out[:5]) + (", …" if len(left_out) > 5 else "")
            many = "1 class" if len(left_out) == 1 else f"{len(left_out)} classes"
            notes.append(f"{split} has no row of {many}, too rare to part: {few}.")


def _sample(
    tables: dict[str, Table],
    source: DataSource,
    problems: Problems,
    notes: list[str],
    *,
    seed: int,
) -> None:
    train = tables["train"]
    tables["extra"] = train.keep([], "extra")
    if source.train_rows is None:
        return
    if source.train_rows >= len(train):
        if source.train_rows > len(train):
            notes.append(f"train has {len(train):,} rows, not train_rows: {source.train_rows:,}.")
        return
    least = 2 * len(set(_classes(train)) if train.written else train.classes())
    try:
        kept = sample(_classes(train), source.train_rows, derive_seed(seed, "data", "train_rows"))
    except ValueError as error:
        problems.add("train_rows", f"{error}. Raise it to {least} or more.")
        return
    lost = set() if train.written else train.classes() - train.keep(kept).classes()
    if lost:
        text = f"{source.train_rows} rows are too few for every label: none has {min(lost)!r}"
        problems.add("train_rows", f"{text}. Raise it to {least} or more.")
        return
    chosen = set(kept)
    tables["train"] = train.keep(kept)
    tables["extra"] = train.keep((i for i in range(len(train)) if i not in chosen), "extra")
