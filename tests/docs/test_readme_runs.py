"""Every command of the README runs, in its order, on small data."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np
import pytest
from typer.testing import CliRunner

from toprung.cli.main import app

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
ANSWERS = ("label", "labels", "summary")
LABELS = ("joy", "anger", "sadness", "fear")
TEXTS = (
    "budget.trials=2",
    "first=null",
    "space.backbone={minilm: {depth: 1}}",
    "space.adapter={lora: {rank: 2}}",
    "space.max_length=16",
    "scheduler={asha: {reduction_factor: 2}}",
    "resource={min: 32, max: 64}",
    "ensemble={uniform: {members: 1, candidates: 1}}",
    "trial.precision=float32",
)
"""What makes a search on texts small."""
SMALL = {
    "mine.yaml": (),
    "emotions": TEXTS,
    "series": (*TEXTS[:2], *TEXTS[5:8], "space.backbone={transformer: {width: 16, layers: 1}}"),
    "summaries": (
        *TEXTS[:2],
        *TEXTS[5:7],
        TEXTS[-1],
        "space.backbone={minilm2minilm: {depth: 1}}",
        "space.decoder_layers=1",
        "space.adapter={frozen: {}}",
        "space.max_length=32",
        "space.max_target_length=12",
        "ensemble={mbr: {members: 1, candidates: 1}}",
        "baselines=[lead]",
    ),
    "topics": (
        *TEXTS[1:5],
        *TEXTS[7:],
        "budget=null",
        "phases=[{rows: 60, trials: 2, epochs: 1}, {rows: 120, best: 1, epochs: 1}]",
        "gates=[{when: {accuracy: {at_least: 0.0}}, then: succeed}]",
    ),
}
"""By the first word after the verb: what is changed on the command line to be quick."""


def commands() -> list[str]:
    """Every command line of the README's shell blocks that runs toprung."""
    blocks = re.findall(r"```sh\n(.*?)```", README, flags=re.S)
    lines = [line.partition("#")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line.startswith("toprung ")]


def write_rows(folder: Path, make: Callable[[int], dict[str, Any]]) -> None:
    folder.mkdir(parents=True)
    for split, start, count in (("train", 0, 240), ("validation", 240, 90), ("test", 330, 60)):
        lines = [json.dumps(make(number)) for number in range(start, start + count)]
        (folder / f"{split}.jsonl").write_text("\n".join(lines))


def topic(number: int) -> dict[str, Any]:
    words = ("parcel", "refund", "login")[number % 3]
    return {"text": f"{words} {words} number {number}", "label": words}


def emotions(number: int) -> dict[str, Any]:
    own = [name for place, name in enumerate(LABELS) if number % (place + 2) == 0]
    return {
        "text": f"{' '.join(own)} number {number}",
        "labels": {n: int(n in own) for n in LABELS},
    }


def dialogue(number: int) -> dict[str, Any]:
    said = f"#Person1#: where is parcel {number}? #Person2#: it is late. #Person1#: oh no."
    return {"dialogue": said, "summary": f"Person1 asks where parcel {number} is."}


def write_windows(folder: Path) -> None:
    folder.mkdir(parents=True)
    for seed, (split, count) in enumerate((("train", 96), ("validation", 48), ("test", 48))):
        chance = np.random.default_rng(seed)
        labels = chance.integers(2, size=count)
        arrays = {
            name: (chance.normal(size=(count, 100, 3)) + labels[:, None, None]).astype(np.float32)
            for name in ("acc", "gyro")
        }
        named = np.array(["no_fall_ahead", "fall_ahead"])
        np.savez(folder / f"{split}.npz", **arrays, modalities=np.array(["acc", "gyro"]),
                 labels=labels, label_names=named)  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all that the README's commands name."""
    root = tmp_path_factory.mktemp("reader")
    write_rows(root / "path/to/goemotions", emotions)
    write_rows(root / "path/to/reviews15", topic)
    write_rows(root / "path/to/dialogsum", dialogue)
    write_windows(root / "path/to/sisfall")
    chance = np.random.default_rng(9)
    np.savez(root / "rows.npz", acc=chance.normal(size=(4, 100, 3)).astype(np.float32))
    (root / "rows.jsonl").write_text(
        json.dumps({"text": "my parcel is late", "dialogue": "#Person1#: where is it?"}) + "\n"
    )
    return root


@pytest.fixture(scope="module")
def mine(place: Path, write_spec: Callable[..., Path]) -> Path:
    """The reader's own search."""
    write_rows(place / "mine", topic)
    return write_spec(place, name="mine", data={"path": str(place / "mine")})


def run(line: str, place: Path) -> str:
    """What a command prints, run as the README has it but for what makes it small."""
    verb, *words = shlex.split(line.replace("s3://bucket/", "memory://bucket/"))[1:]
    given = [word for word in words if word != "budget.trials=32"]
    small = [] if verb == "predict" else list(SMALL.get(words[0], ()))
    if verb in ("search", "resume"):
        given += ["--runner", "inline"]
    if verb == "resume":
        given = [word.replace("+20", "+1") for word in given]
    found = CliRunner().invoke(app, [verb, *given, *small])
    assert found.exit_code == 0, f"{line}\n{found.output}\n{found.exception}"
    return found.output


def test_every_command_runs_and_leaves_what_it_says(
    place: Path, mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    monkeypatch.setenv("TOPRUNG_CACHE", str(place / "cache"))
    assert mine.is_file()
    found = {line: run(line, place) for line in commands() if " tensorboard " not in line}
    assert len(found) == len(commands()) - 1
    for name in ("mine", "emotions", "series", "topics"):
        assert (place / "results" / name / "report.html").is_file(), name
    answer = json.loads((place / "out.jsonl").read_text().splitlines()[0])
    assert any(name in answer for name in ANSWERS)
    assert (place / "results/mine/export/huggingface/predict.py").is_file()
    assert list((place / "results/mine/export/onnx").rglob("*.onnx"))


def test_tensorboard_answers_on_this_machine_alone(place: Path, mine: Path) -> None:
    """``toprung tensorboard mine``, which stays until it is ended."""
    line = next(line for line in commands() if " tensorboard " in line)
    words = [*shlex.split(line)[1:], "--port", "0"]
    with subprocess.Popen(
        [sys.executable, "-m", "toprung.cli.main", *words],
        cwd=place,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            address = _address(process.stdout)
            with urlopen(f"{address}data/logdir", timeout=60) as answer:
                assert "mine" in answer.read().decode()
        finally:
            process.kill()


def _address(lines: Any) -> str:
    ends = time.monotonic() + 120
    for line in lines:
        if found := re.search(r"http://127\.0\.0\.1:\d+/", line):
            return found[0]
        assert time.monotonic() < ends, "TensorBoard says no address"
    raise AssertionError("TensorBoard ended")
