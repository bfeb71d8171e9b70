"""Readers of pipes that go before everything was told."""

from __future__ import annotations

import subprocess
import sys

from toprung.api import Search

TOPRUNG = [sys.executable, "-m", "toprung.cli.main"]


def test_a_reader_that_has_seen_enough_is_no_error(copied: Search) -> None:
    for words in (["board", "tiny"], ["board", "tiny", "--json"], ["logs", "tiny"]):
        process = subprocess.Popen(
            [*TOPRUNG, *words, "--results", copied.settings.results],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        process.stdout.close()
        _, told = process.communicate(timeout=120)
        assert (process.returncode, told) == (0, "")


def test_a_search_goes_on_when_nobody_listens_any_more() -> None:
    script = (
        "from toprung.cli.console import ERRORS\n"
        "ERRORS.print('one')\n"
        "input()\n"
        "ERRORS.print('two')\n"
        "ERRORS.print('three')\n"
        "print('through')\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "one\n"
        process.stderr.close()
        process.stderr = None
        out, _ = process.communicate("\n", timeout=60)
    assert (process.returncode, out) == (0, "through\n")
