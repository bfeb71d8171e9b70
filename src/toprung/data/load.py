"""Loads the rows of a source into the splits of a search."""

from __future__ import annotations

from toprung.data.dataset import Dataset
from toprung.data.source import DataSource


def load_dataset(source: DataSource, seed: int) -> Dataset:
    """The source's rows, checked and split. Draft."""
    raise NotImplementedError
