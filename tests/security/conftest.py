"""Sound files to be spoiled, and a canary that appears where any of them is executed."""

from __future__ import annotations

import os
import runpy
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

FUZZ = Path(__file__).parents[2] / "benchmarks" / "fuzz"


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows, windows, a backbone, a journal and two finished searches; nobody may change them."""
    given = os.environ.get("TOPRUNG_FUZZ_BASE")  # to have it made once for many runs
    folder = Path(given) if given else tmp_path_factory.mktemp("sound")
    runpy.run_path(str(FUZZ / "base.py"))["build"](folder)
    return folder


@pytest.fixture
def payloads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """What would leave a file if it ran; the test fails where that file is there afterwards."""
    canary = tmp_path / "canary"
    monkeypatch.setenv("TOPRUNG_CANARY", str(canary))
    yield SimpleNamespace(**runpy.run_path(str(FUZZ / "payloads.py")))
    assert not canary.exists(), "something of the planted was executed"


@pytest.fixture
def texts(sound: Path, tmp_path: Path) -> Path:
    """The results folder of the finished search on texts, to be spoiled."""
    copy = tmp_path / "results"
    shutil.copytree(sound / "results" / "texts", copy / "texts")
    return copy / "texts"


@pytest.fixture
def backbone(sound: Path, tmp_path: Path) -> Path:
    """A folder with a small BERT, to be spoiled."""
    return Path(shutil.copytree(sound / "backbone", tmp_path / "backbone"))
