"""All that training one trial needs to know beside its configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, Self

from toprung.core.clock import Clock, SystemClock
from toprung.core.notice import has_notice
from toprung.data.dataset import Dataset
from toprung.learn.backbone.brought import bring
from toprung.learn.backbone.card import Card
from toprung.learn.kept import Kept
from toprung.storage.sign import PAUSE, Sign
from toprung.storage.store import Store, working_folder
from toprung.trial.config import Resource
from toprung.trial.report import Metric

Precision = Literal["float32", "bfloat16"]
PROGRESS = "progress.jsonl"
"""In a trial's folder: its loss, rate and use of the machine, a line every few steps."""


@dataclass(frozen=True)
class Plan:
    """What is the same for every trial of a search.

    Attributes:
        task: name of the task.
        dataset: without the test rows.
        metric: that the search ranks by; decides which checkpoint is the best.
        resource: unit, points and the largest resource, where schedules end.
        folder: that holds a folder for each trial; absolute.
        cache: of tokenised text, shared by all trials.
        cpus: threads of torch.
        precision: of the encoder; weights that are trained stay float32.
        device: ``cpu``, ``cuda``, ``mps``, or ``auto`` for the fastest there is.
        gpus: share of a graphics card that a trial was promised; 0 and 1 set no limit.
        pause_file: training stops between two steps once it exists.
        cards: backbones by name.
        rows: what is trained on: ``train``, or ``all`` with those that ``train_rows`` left out.
        prefix_bytes: of disk for what frozen layers make of the texts; 0 keeps nothing, None
            takes a quarter of the free disk at most.
        by_class: whether reports tell the recall of each class too.
        clock: for seconds.
        store: that keeps the search where its folder is not shared; each node has its own then.
        offered: backbones of local folders on that storage, see ``offer``.
    """

    task: str
    dataset: Dataset
    metric: Metric
    resource: Resource
    folder: Path
    cache: Path
    cpus: int
    precision: Precision = "float32"
    device: str = "auto"
    gpus: float = 0.0
    pause_file: Path | Sign | None = None
    cards: Mapping[str, Card] = field(default_factory=dict)
    rows: Literal["train", "all"] = "train"
    prefix_bytes: int | None = None
    by_class: bool = False
    clock: Clock = field(default_factory=SystemClock)
    store: Store | None = None
    offered: Mapping[str, str] = field(default_factory=dict)

    @property
    def kept(self) -> Kept | None:
        """What its trials keep on the storage; None without one."""
        return None if self.store is None else Kept(self.store, self.folder)

    def on_this_node(self) -> Self:
        """The plan with the folders of the node that this runs on, its backbones brought there."""
        if self.store is None:
            return self
        place, _, name = self.store.url.rpartition("/")
        root = working_folder(place)
        sign = Sign(self.store, PAUSE, root / name / PAUSE)
        folder, cache = root / name / "trials", root / ".cache"
        bring(self.offered, Store(place), cache)
        return replace(self, folder=folder, cache=cache, pause_file=sign)

    def is_paused(self) -> bool:
        """Whether trials are to save themselves and leave: all, or those of this process."""
        return has_notice() or (self.pause_file is not None and self.pause_file.exists())

    def trained_splits(self) -> list[str]:
        """Names of the splits that are trained on; empty and absent ones left out."""
        names = ["train"] if self.rows == "train" else ["train", "extra"]
        return [n for n in names if n in self.dataset.splits and len(self.dataset.splits[n])]
