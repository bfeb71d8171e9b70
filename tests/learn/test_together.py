"""Members that are scored together give the bits that each gives alone, for less work."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from toprung.learn.backbone.card import find_card
from toprung.learn.member import Member, load_member, save_member
from toprung.learn.together import score_together
from toprung.learn.trainer import Trainer
from toprung.trial.config import Assignment, Resource

FAMILIES = ("bert", "roberta", "electra", "distilbert", "deberta-v2", "modernbert")
TEXTS = ["the apple", "", "a river nile indus", "iron " * 30, "zinc", "the rhine a pear " * 5] * 20
CONFIGS: list[dict[str, Any]] = [
    {"adapter": "lora", "adapter__lora__layers": "top_third"},
    {"adapter": "full"},
    {"adapter": "lora", "adapter__lora__layers": "top_third", "pooling": "mean_max"},
    {"adapter": "frozen", "head": "mlp"},
    {"adapter": "lora", "adapter__lora__layers": "top_third", "max_length": 12},
    {"adapter": "lora", "adapter__lora__layers": "top_half", "backbone__tiny__depth": 2},
    {"adapter": "lora", "adapter__lora__rank": 4, "adapter__lora__layers": "top_third"},
]


@pytest.fixture
def load(
    trainer: Callable[..., Trainer], assign: Callable[..., Assignment], tmp_path: Path
) -> Callable[..., list[Member]]:
    def make(configs: list[dict[str, Any]], **changes: Any) -> list[Member]:
        plan = trainer(resource=Resource("examples", 16, 16, (16,)), **changes)
        members = []
        for number, config in enumerate(configs, start=1):
            *_, last = plan(assign(number, **config))
            assert last.checkpoint is not None
            folder = tmp_path / "ensemble" / f"t{number:04d}"
            save_member(plan.folder / folder.name, last.checkpoint, folder)
            members.append(load_member(folder, "cpu"))
        return members

    return make


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_scores_together_have_the_bits_of_each_member_alone(
    load: Callable[..., list[Member]], precision: str
) -> None:
    members = load(CONFIGS, precision=precision)
    for member, scores in zip(members, score_together(members, TEXTS), strict=True):
        assert scores.shape == (len(TEXTS), 3)
        assert scores.tobytes() == member.logits(TEXTS).tobytes()


@pytest.mark.parametrize("family", FAMILIES)
def test_members_of_unlike_depth_share_layers_in_every_family(
    load: Callable[..., list[Member]], encoders: dict[str, Path], family: str
) -> None:
    lora = {"adapter": "lora", "max_length": 64}
    members = load(
        [
            {**lora, "adapter__lora__layers": "top_third"},
            {"adapter": "frozen", "max_length": 64},
            {**lora, "adapter__lora__layers": "top_half", "backbone__tiny__depth": 2},
        ],
        cards={"tiny": find_card(str(encoders[family]))},
    )
    assert [member.model.encoder.frozen_layers for member in members] == [2, 3, 1]
    long = [" ".join(["iron"] * 14)] * 8
    for texts in (TEXTS, long):
        for member, scores in zip(members, score_together(members, texts), strict=True):
            assert scores.tobytes() == member.logits(texts).tobytes()


def test_frozen_layers_that_members_share_run_once(load: Callable[..., list[Member]]) -> None:
    members = load([CONFIGS[0], CONFIGS[2], CONFIGS[6], CONFIGS[3]])
    runs = {0: 0, 1: 0, 2: 0}
    for member in members:
        for layer in runs:
            hook = member.model.encoder.layers[layer].register_forward_hook
            hook(lambda *_, layer=layer: runs.update({layer: runs[layer] + 1}))
    members[0].logits(TEXTS)
    batches = runs[0]
    score_together(members, TEXTS)
    assert runs == {0: 2 * batches, 1: 2 * batches, 2: 5 * batches}


def test_no_texts_and_no_members_give_nothing(load: Callable[..., list[Member]]) -> None:
    members = load(CONFIGS[:2])
    assert [scores.shape for scores in score_together(members, [])] == [(0, 3), (0, 3)]
    assert score_together([], TEXTS) == []
