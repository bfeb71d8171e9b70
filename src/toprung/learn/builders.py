"""Which parts a trial is built of, by its task."""

from __future__ import annotations

from collections.abc import Callable

import torch

from toprung.data.tasks._base import Task
from toprung.learn.build import Build
from toprung.learn.plan import Plan
from toprung.learn.series.build import SeriesBuild
from toprung.learn.summaries.build import SummaryBuild
from toprung.learn.texts import TextBuild
from toprung.trial.config import TrialConfig


def builder_of(task: Task) -> Callable[[Plan, TrialConfig, torch.device], Build]:
    """The builder of a task's trials: one that writes, or one that scores windows or texts."""
    if task.answers == "texts":
        return SummaryBuild
    return SeriesBuild if task.reads == "series" else TextBuild
