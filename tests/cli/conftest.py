"""The command line in this process: its exit code and what it printed."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from toprung.cli.main import main


@dataclass(frozen=True)
class Answer:
    """What a command left."""

    code: int
    out: str
    err: str


@pytest.fixture
def toprung(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Answer]:
    """Runs a command to its end, as the console script would."""

    def run(*words: Any, stdin: bytes = b"") -> Answer:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["toprung", *map(str, words)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8"))
        # Set first, so that what --debug sets is taken back with the test.
        monkeypatch.setenv("TOPRUNG_DEBUG", "")
        code: object = 0
        try:
            main()
        except SystemExit as end:
            code = end.code
        told = capsys.readouterr()
        assert isinstance(code, int | None)
        return Answer(code or 0, told.out, told.err)

    return run
