"""The rows of a search as values: texts, label numbers, and a hash over all of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from toprung.core.seeds import derive_seed
from toprung.data.series import Content, Series, join
from toprung.data.split import nested_rows
from toprung.data.tasks._base import Labels, Task
from toprung.data.tasks.single_label import SingleLabel


@dataclass(frozen=True, eq=False)
class Split:
    """Rows that are used together.

    Attributes:
        name: ``train``, ``stopping``, ``selection``, ``thresholds``, ``test`` or ``extra``.
        texts: N texts; none where the rows are windows.
        labels: (N,) indices into the data set's label names, (N, C) of 0 and 1, or (N,) tuples of
            references.
        series: N windows; None where the rows are texts.
        auxiliary: (N,) int64 classes or float32 numbers by name, which training may also
            predict; never an input.
    """

    name: str
    texts: tuple[str, ...]
    labels: Labels
    series: Series | None = None
    auxiliary: Mapping[str, NDArray[np.int64] | NDArray[np.float32]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.labels.shape[:1] != (len(self.content),):
            rows = f"{len(self.content)} {'texts' if self.series is None else 'windows'}"
            raise ValueError(f"{rows}, but labels of shape {self.labels.shape}")

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def content(self) -> Content:
        """What a model reads: the texts, or the windows."""
        return self.texts if self.series is None else self.series

    def take(self, rows: NDArray[np.int64], name: str) -> Split:
        """Some of the rows, in this order, as a split of another name."""
        chosen = rows.tolist()
        return Split(
            name,
            tuple(self.texts[row] for row in chosen) if self.series is None else (),
            self.labels[rows],
            None if self.series is None else self.series.keep(chosen),
            {target: array[rows] for target, array in self.auxiliary.items()},
        )


@dataclass(frozen=True, eq=False)
class Dataset:
    """Everything that a search learns from and is judged by.

    Attributes:
        label_names: the classes in training, in numerical order where all are whole numbers,
            else in alphabetical order.
        splits: ``train``; ``stopping`` for early stopping and the search; ``selection`` for
            ensemble weights and temperature; ``thresholds`` where the task has any; ``test``;
            and ``extra``, the rows of train that ``train_rows`` left out, possibly none.
        sha256: over the label names, and over texts or arrays, and labels of every split.
        notes: counted warnings in words.
        task: what the labels mean.
    """

    label_names: tuple[str, ...]
    splits: Mapping[str, Split]
    sha256: str
    notes: tuple[str, ...] = ()
    task: Task = field(default_factory=SingleLabel)

    def without(self, *names: str) -> Dataset:
        """The same data lacking some splits; the hash stays that of the whole.

        Raises:
            KeyError: no split of that name.
        """
        for name in names:
            if name not in self.splits:
                raise KeyError(f"no split '{name}'. Known: {', '.join(self.splits)}.")
        kept = {name: split for name, split in self.splits.items() if name not in names}
        return replace(self, splits=kept)

    def first_train_rows(self, rows: int | None, seed: int) -> Dataset:
        """The same data with a stratified part of train; smaller parts lie within larger ones.

        The rows left out join ``extra``. The hash is another one for another number of rows.

        Args:
            rows: how many of train; None for all, which changes nothing.
            seed: of the choice.

        Raises:
            ValueError: train has fewer rows.
        """
        train = self.splits["train"]
        if rows is None:
            return self
        if rows > len(train):
            raise ValueError(f"train has {len(train):,} rows, not {rows:,}")
        order = nested_rows(self.task.strata(train.labels), derive_seed(seed, "data", "phases"))
        kept, left = np.sort(order[:rows]), np.sort(order[rows:])
        extra = self.splits.get("extra", Split("extra", (), train.labels[:0]))
        over = train.take(left, "extra")
        splits = dict(self.splits) | {
            "train": train.take(kept, "train"),
            "extra": _both(extra, over),
        }
        digest = hashlib.sha256(f"{self.sha256}/{rows}/{seed}".encode()).hexdigest()
        note = (
            f"trials learn from {rows:,} of train's {len(train):,} rows, each class by its share."
        )
        return replace(self, splits=splits, sha256=digest, notes=(*self.notes, note))

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return len(self.label_names)


def _both(one: Split, other: Split) -> Split:
    """The rows of two splits, one after the other."""
    if not len(one):
        return other
    series = None
    if one.series is not None and other.series is not None:
        series = join([one.series, other.series])
    auxiliary = {
        name: np.concatenate([one.auxiliary[name], other.auxiliary[name]]) for name in one.auxiliary
    }
    labels = np.concatenate([one.labels, other.labels])
    return Split(one.name, one.texts + other.texts, labels, series, auxiliary)


def hash_rows(label_names: Sequence[str], splits: Mapping[str, Split]) -> str:
    """SHA-256 over label names and every split's rows; equal for equal data, in order.

    >>> one = Split("train", ("ab", "c"), np.array([0, 1]))
    >>> other = Split("train", ("a", "bc"), np.array([0, 1]))
    >>> hash_rows(["x", "y"], {"train": one}) == hash_rows(["x", "y"], {"train": other})
    False
    """
    digest = hashlib.sha256()

    def add(text: str) -> None:
        data = text.encode("utf-8")
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)

    digest.update(len(label_names).to_bytes(8, "little"))
    for name in label_names:
        add(name)
    for name, split in splits.items():
        add(name)
        digest.update(len(split).to_bytes(8, "little"))
        for text in split.texts:
            add(text)
        if split.labels.dtype == object:
            for references in split.labels:
                add("\0".join(references))
        else:
            digest.update(np.ascontiguousarray(split.labels, dtype="<i8").tobytes())
        arrays = {} if split.series is None else {**split.series.arrays, **split.auxiliary}
        for array_name, array in arrays.items():
            add(f"{array_name} {array.dtype} {array.shape}")
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
