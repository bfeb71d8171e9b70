"""A configuration that really collapses is stopped, and every view says why."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from toprung.api import Search
from toprung.api.opening import Settings
from toprung.cli.summary import board_table
from toprung.trial.journal import read_events


@pytest.fixture(scope="module")
def collapsed(tmp_path_factory: pytest.TempPathFactory, write_spec: Callable[..., Path]) -> Search:
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("collapsed")
    space: dict[str, Any] = {
        "backbone": {"minilm": {"depth": 1}},
        "adapter": "full",
        "pooling": "mean",
        "learning_rate": [0.5, 0.002],
        "warmup": 0.0,
        "batch_size": 16,
        "max_length": 16,
    }
    first = [{"learning_rate": 0.5}, {"learning_rate": 0.002}]
    path = write_spec(
        root, name="collapsed", space=space, budget={"trials": 2}, first=first,
        resource={"unit": "examples", "min": 64, "max": 256},
        ensemble={"uniform": {"members": 1, "candidates": 1}},
    )  # fmt: skip
    settings = Settings(runner="inline", results=str(root / "results"))
    return Search(str(path), settings=settings).fit()


def test_the_absurd_rate_is_stopped_at_a_rung_and_the_sound_one_goes_on(collapsed: Search) -> None:
    history = collapsed.history()
    absurd, sound = history.trials["t0001"], history.trials["t0002"]
    assert absurd.config.values["learning_rate"] == 0.5
    assert absurd.state == "stopped"
    assert absurd.reason.startswith("predicts one class: 100.0% of ")
    assert absurd.reason.endswith("the learning rate is 0.5")
    assert absurd.resource < 256
    assert sound.state == "completed"
    assert "one_class" not in {finding.symptom for finding in sound.findings}
    decided = [e for e in read_events(collapsed.folder.journal) if e.get("by") == "diagnosis"]
    assert [event["trial"] for event in decided] == ["t0001"]


def test_board_tensorboard_and_report_say_why(collapsed: Search) -> None:
    wide = Console(width=300)
    with wide.capture() as told:
        wide.print(board_table(collapsed.rows(), "macro_f1"))
    assert "predicts one class" in told.get()
    assert "predicts one class" in collapsed.folder.leaderboard.read_text()
    scalars = EventAccumulator(str(collapsed.folder.trials / "t0001")).Reload()
    assert "diagnosis/one_class" in scalars.Tags()["tensors"]
    for file in (collapsed.folder.report, collapsed.folder.page):
        text = file.read_text()
        assert "predicts one class" in text
        assert "Lower the learning rate" in text
