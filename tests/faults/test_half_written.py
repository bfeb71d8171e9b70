"""Writers that are killed between two bytes leave whole files or none."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from toprung.core.files import files_below, read_json, sha256_file, sweep

WRITER = """
import sys
from itertools import count
from pathlib import Path
from typing import Any
from toprung.core.files import new_folder, sha256_file, write_json
root = Path(sys.argv[1])
for number in count():
    with new_folder(root / "checkpoint") as aside:
        (aside / "weights").write_bytes(bytes([number % 256]) * 300_000)
        write_json(aside / "manifest.json", {"sha256": sha256_file(aside / "weights")})
    write_json(root / "state.json", {"number": number, "filling": "x" * 20_000})
"""


def test_a_writer_that_is_killed_at_any_moment_leaves_a_whole_checkpoint_or_none(
    tmp_path: Path,
) -> None:
    chance = random.Random(1)
    for _ in range(12):
        with subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)]) as process:
            until = time.monotonic() + 20
            before = os.stat(tmp_path / "state.json") if (tmp_path / "state.json").exists() else 0
            while not (tmp_path / "state.json").exists() or (
                os.stat(tmp_path / "state.json") == before
            ):
                assert time.monotonic() < until
                time.sleep(0.005)
            time.sleep(chance.uniform(0.0, 0.03))
            os.kill(process.pid, signal.SIGKILL)
        sweep(tmp_path)
        assert {path.name for path in tmp_path.iterdir()} <= {"checkpoint", "state.json"}
        assert read_json(tmp_path / "state.json")["filling"] == "x" * 20_000
        if (tmp_path / "checkpoint").exists():
            written = read_json(tmp_path / "checkpoint" / "manifest.json")["sha256"]
            assert sha256_file(tmp_path / "checkpoint" / "weights") == written


def test_a_folder_that_goes_while_files_are_listed_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("kept", ".7.99.tmp"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "weights.safetensors").write_bytes(b"w")
    list_folder = os.scandir

    def rename_first(path: Any) -> Any:
        # As a checkpoint takes its name between the listing of its parent and its own.
        if Path(path).name == ".7.99.tmp":
            Path(path).rename(tmp_path / "8")
        return list_folder(path)

    monkeypatch.setattr(os, "scandir", rename_first)
    assert files_below(tmp_path) == [tmp_path / "kept" / "weights.safetensors"]
    assert len(files_below(tmp_path)) == 2
