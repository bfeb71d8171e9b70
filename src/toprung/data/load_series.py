"""Loads the windows of a source into splits, or tells all that is wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from toprung.core.errors import FixData, Problem
from toprung.core.registry import nearest
from toprung.core.seeds import derive_seed
from toprung.data import tasks
from toprung.data.dataset import Dataset, Split, hash_rows
from toprung.data.read_npz import LABEL_NAMES, MODALITIES, Windows, read_windows
from toprung.data.rows import Problems
from toprung.data.source import DataSource
from toprung.data.split import carve, part, sample

LEAKS_ALLOWED = 0.01
_FEWEST = 2
_ALIASES = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test",),
}


@dataclass(frozen=True)
class Archives:
    """The checked windows of every split.

    Attributes:
        splits: ``train``, ``validation``, ``test``, and ``extra``, left out by ``train_rows``.
        keys: equal for windows of equal bits, by split.
        notes: counted warnings in words.
    """

    splits: Mapping[str, Windows]
    keys: Mapping[str, Sequence[bytes]]
    notes: tuple[str, ...]


def load_series(source: DataSource, seed: int) -> Dataset:
    """The source's windows: read, checked, split and numbered.

    Args:
        source: where they lie.
        seed: of carving, halving and sub-sampling.

    Raises:
        FixData: every problem of every file, with file and array.
    """
    archives = load_archives(source, seed)
    task = tasks.registry.get(source.task)()
    validation, keys = archives.splits["validation"], archives.keys["validation"]
    names = validation.label_names
    labels = [names[label] for label in validation.labels]
    halves = part(labels, keys, derive_seed(seed, "data", "halves"), parts=len(task.splits))
    held_out = {n: _keep(validation, rows) for n, rows in zip(task.splits, halves, strict=True)}
    whole = {name: archives.splits[name] for name in ("train", "test", "extra")}
    parts = {"train": whole["train"], **held_out, **whole}
    splits = {
        name: Split(name, (), windows.labels, windows.series, windows.auxiliary)
        for name, windows in parts.items()
    }
    return Dataset(names, splits, hash_rows(names, splits), archives.notes, task)


def load_archives(source: DataSource, seed: int) -> Archives:
    """The source's windows, checked and split, as ``load_series`` does."""
    wrong = source.problems()
    if wrong:
        raise FixData("data", wrong)
    problems = Problems()
    files = _files(source)
    read = {s: read_windows(path, problems, label=source.label) for s, path in files.items()}
    _raise(source, problems)
    found = {split: windows for split, windows in read.items() if windows is not None}
    for split, windows in found.items():
        if split != "train":
            _check_alike(windows, found["train"], problems)
    _raise(source, problems)
    found = _put_positive_last(found, source, problems)
    _check_classes(found["train"], source.label, problems)
    _raise(source, problems)
    notes = _count_notes(found["train"])
    keys = {split: windows.series.keys() for split, windows in found.items()}
    _check_repeats(found, keys, source, problems, notes)
    _raise(source, problems)
    _carve(found, keys, source, notes, seed=seed)
    _sample(found, keys, source, problems, notes, seed=seed)
    parts = tasks.registry.get(source.task).splits
    if len(found["validation"].labels) < len(parts):
        text = f"fewer than {len(parts)} windows, one for each of {', '.join(parts)}. Add some."
        problems.add("validation", text)
    _raise(source, problems)
    return Archives(found, keys, tuple(notes))


def _raise(source: DataSource, problems: Problems) -> None:
    if problems:
        raise FixData(source.train or source.path or "data", problems.found)


def _files(source: DataSource) -> dict[str, Path]:
    """The archive of each split that the source has, train first."""
    if source.corpus:
        text = "a corpus is of texts; series are read from .npz files. Give data.path."
        raise FixData("data", [Problem("corpus", text)])
    if source.train:
        given = {"train": source.train, "validation": source.validation, "test": source.test}
        return {split: source.locate(path) for split, path in given.items() if path}
    folder = source.locate(source.path or ".")
    if not folder.is_dir():
        said = (
            "a file, not a folder. Give it as data.train" if folder.exists() else "no such folder"
        )
        raise FixData("data.path", [Problem(str(folder), f"{said}. Correct the path.")])
    there = {split: [folder / f"{n}.npz" for n in names] for split, names in _ALIASES.items()}
    found = {s: next((p for p in paths if p.is_file()), None) for s, paths in there.items()}
    if found["train"] is None:
        had = ", ".join(child.name for child in sorted(folder.iterdir())[:20]) or "nothing"
        text = f"no train.npz; it holds {had}. A folder of series has train.npz, validation.npz"
        raise FixData("data.path", [Problem(str(folder), f"{text} and test.npz.")])
    return {split: path for split, path in found.items() if path is not None}


def _check_alike(windows: Windows, train: Windows, problems: Problems) -> None:
    """What differs between a split and train, though it must not."""
    ours, its = train.series.shapes, windows.series.shapes
    for name in ours.keys() - its.keys():
        text = f"the modality '{name}' of {train.file} is missing. Add it, or remove it there."
        problems.add(windows.file, f"{text} Only at prediction time may a modality be missing.")
    for name in its.keys() - ours.keys():
        text = f"the modality '{name}' is missing in {train.file}. Add it there, or leave it out"
        problems.add(windows.file, f"{text} of {MODALITIES}.")
    for name in ours.keys() & its.keys():
        if ours[name] != its[name]:
            said = "{} steps × {} channels".format
            text = f"{said(*its[name])}, but {said(*ours[name])} in {train.file}. Cut alike."
            problems.add(f"{windows.file}: {name}", text)
    if windows.label_names != train.label_names:
        text = f"{list(windows.label_names)}, but {list(train.label_names)} in {train.file}."
        problems.add(f"{windows.file}: {LABEL_NAMES}", f"{text} Number the classes alike.")


def _put_positive_last(
    found: dict[str, Windows], source: DataSource, problems: Problems
) -> dict[str, Windows]:
    names = found["train"].label_names
    if source.positive is None or source.positive == names[-1]:
        return found
    if source.positive not in names:
        text = f"no class '{source.positive}'. {nearest(source.positive, names)}"
        problems.add("positive", text)
        return found
    order = [*(n for n in range(len(names)) if names[n] != source.positive)]
    order.append(names.index(source.positive))
    place = np.argsort(order)
    return {
        split: replace(w, labels=place[w.labels], label_names=tuple(names[n] for n in order))
        for split, w in found.items()
    }


def _check_classes(train: Windows, label: str, problems: Problems) -> None:
    counts = Counter(train.labels.tolist())
    if len(train.label_names) < _FEWEST:
        text = f"one class only, {train.label_names[0]!r}; at least 2 are needed."
        problems.add(f"{train.file}: {LABEL_NAMES}", f"{text} Add windows of another class.")
    for number, name in enumerate(train.label_names):
        if counts[number] < _FEWEST:
            rows = "no window" if not counts[number] else "1 window"
            text = f"class '{name}' has {rows} in train; at least {_FEWEST} are needed. Add"
            problems.add(f"{train.file}: {label}", f"{text} some, or remove it from {LABEL_NAMES}.")


def _count_notes(train: Windows) -> list[str]:
    shapes = ", ".join(f"{n} {t} × {c}" for n, (t, c) in train.series.shapes.items())
    notes = [f"modalities, steps × channels: {shapes}."]
    if train.auxiliary:
        kinds = [f"{n} ({_kind(a)})" for n, a in train.auxiliary.items()]
        notes.append(f"auxiliary targets, never inputs: {', '.join(kinds)}.")
    if train.unused:
        notes.append(f"arrays that are not read: {', '.join(train.unused)}.")
    return notes


def _kind(target: Any) -> str:
    return f"{int(target.max()) + 1} classes" if target.dtype == np.int64 else "a number"


def _check_repeats(
    found: Mapping[str, Windows],
    keys: Mapping[str, Sequence[bytes]],
    source: DataSource,
    problems: Problems,
    notes: list[str],
) -> None:
    repeated = len(keys["train"]) - len(set(keys["train"]))
    if repeated:
        notes.append(f"{repeated:,} windows of train repeat an earlier one.")
    for split, inside in (("test", "train"), ("test", "validation"), ("validation", "train")):
        if split not in keys or inside not in keys:
            continue
        rows = count_leaks(keys[split], keys[inside])
        text = f"{rows:,} of the windows of {split} ({rows / len(keys[split]):.1%}) stand in"
        if rows and (source.leaks == "warn" or rows <= LEAKS_ALLOWED * len(keys[split])):
            notes.append(f"{text} {inside} too.")
        elif rows:
            limit = f"more than {LEAKS_ALLOWED:.0%} makes scores too good"
            step = f"remove them from {inside}, or accept them with data.leaks: warn"
            problems.add(found[split].file, f"{text} {inside} too; {limit}: {step}.")


def count_leaks(keys: Sequence[bytes], inside: Sequence[bytes]) -> int:
    """How many rows of one split stand in another."""
    known = set(inside)
    return sum(key in known for key in keys)


def _keep(windows: Windows, rows: Sequence[int]) -> Windows:
    chosen = np.asarray(rows, dtype=np.int64)
    return replace(
        windows,
        series=windows.series.keep(rows),
        labels=windows.labels[chosen],
        auxiliary={name: target[chosen] for name, target in windows.auxiliary.items()},
    )


def _carve(
    found: dict[str, Windows],
    keys: dict[str, list[bytes]],
    source: DataSource,
    notes: list[str],
    *,
    seed: int,
) -> None:
    shares = {"test": source.test_share, "validation": source.validation_share}
    total = len(keys["train"])
    for split, share in shares.items():
        if split in found:
            continue
        train = found["train"]
        fixed = {key for name, some in keys.items() if name != "train" for key in some}
        exact = min(0.5, share * total / len(keys["train"]))
        labels = [train.label_names[label] for label in train.labels]
        here = derive_seed(seed, "data", split)
        leave = carve(labels, keys["train"], exact, here, fixed=fixed)
        found[split] = _part_of(found, keys, leave, split)
        gone = set(leave)
        stay = [row for row in range(len(labels)) if row not in gone]
        found["train"] = _part_of(found, keys, stay, "train")
        notes.append(f"{split} was carved from train: {len(leave):,} windows of it.")


def _part_of(
    found: Mapping[str, Windows], keys: dict[str, list[bytes]], rows: Sequence[int], split: str
) -> Windows:
    """Rows of train for a split; their keys are noted under its name."""
    kept = _keep(found["train"], rows)
    keys[split] = [keys["train"][row] for row in rows]
    return kept


def _sample(
    found: dict[str, Windows],
    keys: dict[str, list[bytes]],
    source: DataSource,
    problems: Problems,
    notes: list[str],
    *,
    seed: int,
) -> None:
    train = found["train"]
    rows = list(range(len(train.labels)))
    wanted = len(rows) if source.train_rows is None else source.train_rows
    if wanted > len(rows):
        notes.append(f"train has {len(rows):,} windows, not train_rows: {wanted:,}.")
    labels = [train.label_names[label] for label in train.labels]
    try:
        rows = sample(labels, wanted, derive_seed(seed, "data", "train_rows"))
    except ValueError as error:
        problems.add("train_rows", f"{error}. Raise it.")
    chosen = set(rows)
    left = [row for row in range(len(labels)) if row not in chosen]
    # The order matters: the keys of train are those that both parts are taken from.
    found["extra"] = _part_of(found, keys, left, "extra")
    found["train"] = _part_of(found, keys, rows, "train")
