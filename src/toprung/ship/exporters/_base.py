"""The contract of an exporter."""

from __future__ import annotations

import inspect
import re
import shutil
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

from toprung.core.files import write_text
from toprung.data.series import Content, Series
from toprung.judge.baselines import _plain
from toprung.ship.merge import Merged
from toprung.ship.plain import LEARNED
from toprung.ship.predictor import Ensemble

_OURS = re.compile(r"^(\s*from )toprung\.(?:\w+\.)*(\w+ import )", re.MULTILINE)


@dataclass(frozen=True)
class Export:
    """What is exported.

    Attributes:
        ensemble: loaded.
        source: its folder.
        said: what ``ensemble.json`` says.
        rows: texts or windows that parity is checked on.
    """

    ensemble: Ensemble
    source: Path
    said: Mapping[str, Any]
    rows: Content

    @property
    def texts(self) -> tuple[str, ...]:
        """The rows of an ensemble on texts."""
        assert not isinstance(self.rows, Series)
        return tuple(self.rows)


class Exporter(ABC):
    """Writes an ensemble so that others load it without toprung.

    Attributes:
        forms: what an ensemble may read and answer, as of ``Task``.
        library: that loads the export, as hubs name it.
    """

    forms: ClassVar[tuple[tuple[str, str], ...]]
    library: ClassVar[str]

    @abstractmethod
    def write(self, export: Export, to: Path) -> list[str]:
        """Writes into an empty folder and checks that the same texts get the same answers.

        Returns:
            What was written and how closely it agrees, a sentence each.

        Raises:
            FixEnvironment: a library is missing, or the answers differ.
        """


def described(export: Export) -> dict[str, Any]:
    """What the export's own ``ensemble.json`` says: all that turns logits into answers."""
    kept = ("task", "labels", "temperature", "thresholds", "metric", "test", "data_sha256")
    said = {name: export.said[name] for name in kept if name in export.said}
    named = ("trial", "weight", "backbone", "config", "baseline")
    said["members"] = [
        {name: entry[name] for name in named if name in entry} for entry in export.said["members"]
    ]
    return said


def write_baseline(export: Export, trial: str, to: Path) -> str:
    """Writes a baseline's ``learned.npz``, and ``_plain.py``, which scores rows with it."""
    folder = to / "members" / trial
    folder.mkdir(parents=True)
    shutil.copyfile(export.source / "members" / trial / LEARNED, folder / LEARNED)
    copy_module(_plain, to)
    kind = "Words" if export.ensemble.task.reads == "texts" else "Windows"
    return f"{trial}: {LEARNED}, what {kind} of _plain.py takes; it scores rows with numpy alone."


def copy_module(module: ModuleType, to: Path, name: str = "") -> None:
    """The source of a module in a folder, where it finds its neighbours beside it."""
    name = name or module.__name__.rpartition(".")[2]
    write_text(to / f"{name}.py", _OURS.sub(r"\1\2", inspect.getsource(module)))


def facts_of_head(merged: Merged) -> dict[str, Any]:
    """What a scorer needs beside the weights."""
    pooling = merged.facts["values"].get("pooling") or merged.facts["card"]["pooling"]
    return {"pooling": str(pooling), "max_length": int(merged.facts["max_length"])}
