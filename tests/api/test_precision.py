from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from toprung.api import Search
from toprung.api.opening import Settings
from toprung.learn import device
from toprung.learn.device import Measured
from toprung.trial.journal import read_events

Write = Callable[..., Path]


def precisions(search: Search) -> list[str]:
    events = read_events(search.folder.journal)
    return [event["precision"] for event in events if event["kind"] == "precision"]


def test_auto_is_measured_once_and_stands_in_the_journal(
    write_spec: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(runner="inline", results=str(tmp_path / "results"))
    spec = str(write_spec(tmp_path, trial={"precision": "auto"}))
    found = Search(spec, settings=settings).fit()
    first = precisions(found)
    assert first in (["float32"], ["bfloat16"])
    # Another machine, or another day: a search that goes on stays with what it began with.
    other: Any = "bfloat16" if first == ["float32"] else "float32"
    monkeypatch.setattr(device, "measure_precision", lambda *_: Measured(other, "cpu", 1))
    again = Search.attach("tiny", settings)
    again.fit()
    assert precisions(again) == first


def test_a_precision_of_the_spec_is_not_measured(finished: Search) -> None:
    assert precisions(finished) == []
