"""Several LoRA trials in shared passes give what each gives alone."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file

from toprung.core.errors import FixSpec, Interrupted
from toprung.learn.backbone.card import find_card
from toprung.learn.stack import Failed, Stack, group_of
from toprung.learn.trainer import Trainer
from toprung.trial.config import Assignment, TrialConfig
from toprung.trial.report import Report

Make = Callable[..., Trainer]
Assign = Callable[..., Assignment]
TIMES = {"rows_per_second"}
LORA = {"adapter": "lora"}
TRIALS: list[dict[str, Any]] = [
    {**LORA, "adapter__lora__rank": 2, "dropout": 0.3},
    {**LORA, "adapter__lora__rank": 6, "adapter__lora__alpha": 5, "loss": "focal", "batch_size": 4},
    {**LORA, "adapter__lora__dropout": 0.2, "dropout": 0.0, "pooling": "attention", "head": "mlp"},
    {**LORA, "accumulation": 3, "schedule": "plateau", "max_length": 6, "sampling": "balanced"},
    {**LORA, "learning_rate": 1e-2, "schedule": "cosine", "pooling": "max", "warmup": 0.3},
]
TOP = [{**values, "adapter__lora__layers": "top_third"} for values in TRIALS]


def told(reports: list[Any], trial: str) -> dict[int, Report]:
    return {r.resource: r for r in reports if isinstance(r, Report) and r.trial == trial}


def alone(plan: Trainer, assignments: list[Assignment]) -> list[Report]:
    return [report for assignment in assignments for report in plan(assignment)]


def stacked(plan: Trainer, assignments: list[Assignment]) -> list[Report | Failed]:
    return list(plan.together(assignments))


def check_same(got: list[Any], expected: list[Report], tolerance: float = 1e-6) -> None:
    for trial in {report.trial for report in expected}:
        ours, theirs = told(got, trial), told(expected, trial)
        assert list(ours) == list(theirs)
        for point, report in theirs.items():
            for name, value in report.metrics.items():
                if name not in TIMES:
                    found = ours[point].metrics[name]
                    assert math.isclose(found, value, rel_tol=tolerance), (trial, point, name)


def check_same_weights(one: Trainer, other: Trainer, trials: list[str]) -> None:
    for trial in trials:
        for path in sorted((one.folder / trial).rglob("*.safetensors")):
            there = load_file(other.folder / path.relative_to(one.folder))
            for name, tensor in load_file(path).items():
                near = np.allclose(tensor.numpy(), there[name].numpy(), rtol=1e-5, atol=1e-7)
                assert near, (path, name)


@pytest.mark.parametrize("values", [TRIALS, TOP], ids=["all layers", "cached lower layers"])
def test_each_of_several_trials_gives_what_it_gives_alone(
    trainer: Make, assign: Assign, tmp_path: Path, values: list[dict[str, Any]]
) -> None:
    assignments = [assign(n, **v) for n, v in enumerate(values, 1)]
    one, other = trainer(), trainer(folder=tmp_path / "stacked")
    expected = alone(one, assignments)
    check_same(stacked(other, assignments), expected)
    check_same_weights(one, other, [a.config.trial for a in assignments])


def test_without_a_cache_the_frozen_layers_run_once_for_all_trials(
    trainer: Make, assign: Assign, tmp_path: Path
) -> None:
    assignments = [assign(n, **values) for n, values in enumerate(TOP[:3], 1)]
    plan = trainer(prefix_bytes=0)
    expected = alone(plan, assignments)
    other = trainer(folder=tmp_path / "stacked", prefix_bytes=0)
    check_same(stacked(other, assignments), expected)
    assert not (plan.cache / "prefix").exists()


@pytest.mark.parametrize("family", ["roberta", "electra", "distilbert", "modernbert"])
def test_every_family_with_exchangeable_attention_is_stacked(
    trainer: Make, assign: Assign, tmp_path: Path, encoders: dict[str, Path], family: str
) -> None:
    cards = {"tiny": find_card(str(encoders[family]))}
    assignments = [assign(n, **values) for n, values in enumerate(TRIALS[:2], 1)]
    expected = alone(trainer(cards=cards), assignments)
    plan = trainer(cards=cards, folder=tmp_path / "stacked")
    check_same(stacked(plan, assignments), expected)


def test_attention_to_neighbours_only_is_stacked(
    trainer: Make, assign: Assign, tmp_path: Path, encoders: dict[str, Path]
) -> None:
    near = tmp_path / "near"
    shutil.copytree(encoders["modernbert"], near)
    config = json.loads((near / "config.json").read_text())
    (near / "config.json").write_text(json.dumps({**config, "local_attention": 4}))
    assignments = [assign(n, **values) for n, values in enumerate(TRIALS[:2], 1)]
    far = {"tiny": find_card(str(encoders["modernbert"]))}
    cards = {"tiny": find_card(str(near))}
    expected = alone(trainer(cards=cards), assignments)
    check_same(stacked(trainer(cards=cards, folder=tmp_path / "stacked"), assignments), expected)
    others = alone(trainer(cards=far, folder=tmp_path / "far"), assignments)
    assert [r.metrics["log_loss"] for r in others] != [r.metrics["log_loss"] for r in expected]


def test_one_cache_keeps_backbones_apart_that_differ_in_their_config_alone(
    trainer: Make, assign: Assign, tmp_path: Path, encoders: dict[str, Path]
) -> None:
    near = tmp_path / "near"
    shutil.copytree(encoders["modernbert"], near)
    config = json.loads((near / "config.json").read_text())
    (near / "config.json").write_text(json.dumps({**config, "local_attention": 4}))
    values = {"adapter": "frozen"}
    found = {}
    for name, folder, cache in (
        ("far", encoders["modernbert"], "shared"),
        ("near", near, "shared"),
        ("near alone", near, "own"),
    ):
        where = {"folder": tmp_path / name, "cache": tmp_path / cache}
        plan = trainer(cards={"tiny": find_card(str(folder))}, **where)
        found[name] = [r.metrics["log_loss"] for r in alone(plan, [assign(1, **values)])]
    assert found["near"] == found["near alone"] != found["far"]


def test_bfloat16_trials_are_stacked_too(trainer: Make, assign: Assign, tmp_path: Path) -> None:
    assignments = [assign(n, **values) for n, values in enumerate(TRIALS[:2], 1)]
    expected = alone(trainer(precision="bfloat16"), assignments)
    plan = trainer(precision="bfloat16", folder=tmp_path / "stacked")
    check_same(stacked(plan, assignments), expected, tolerance=2e-2)


def test_a_trial_goes_on_alone_from_a_stack_and_in_a_stack_from_alone(
    trainer: Make, assign: Assign, tmp_path: Path
) -> None:
    assignments = [assign(n, **values) for n, values in enumerate(TRIALS[:2], 1)]
    expected = alone(trainer(), assignments)
    plan = trainer(folder=tmp_path / "mixed")
    first = next(iter(plan(assignments[0])))
    stack = Stack(plan)
    stack.join(assign(1, start=60, **TRIALS[0]))
    stack.join(assignments[1])
    got: list[Any] = [first]
    for report in stack.reports():
        got.append(report)
        assert isinstance(report, Report)
        if report.resource == 120:
            stack.leave(report.trial)
    assert {r.resource for r in got} == {60, 120}
    for number, values in enumerate(TRIALS[:2], 1):
        got += plan(assign(number, start=120, **values))
    check_same(got, expected)


def test_trials_join_and_leave_between_steps_without_changing_the_others(
    trainer: Make, assign: Assign, tmp_path: Path
) -> None:
    assignments = [assign(n, **values) for n, values in enumerate(TRIALS[:4], 1)]
    expected = alone(trainer(), assignments)
    stack = Stack(trainer(folder=tmp_path / "stacked"))
    waiting = iter(assignments)
    stack.join(next(waiting))
    got: list[Any] = []
    for report in stack.reports():
        got.append(report)
        if report.trial == "t0003":
            stack.leave("t0003")
        coming = next(waiting, None)
        if coming is not None:
            stack.join(coming)
            assert coming.config.trial in stack.trials
    assert list(told(got, "t0003")) == [60]
    check_same(got, [r for r in expected if r.trial != "t0003" or r.resource == 60])


def test_a_trial_that_diverges_leaves_and_harms_nobody(
    trainer: Make, assign: Assign, tmp_path: Path
) -> None:
    wild = {**LORA, "learning_rate": 1e30, "max_grad_norm": 1e30, "warmup": 0.0}
    others = [assign(n, **values) for n, values in enumerate(TRIALS[:2], 1)]
    expected = alone(trainer(), others)
    plan = trainer(folder=tmp_path / "stacked")
    got = stacked(plan, [others[0], assign(9, **wild), others[1]])
    failed = [r for r in got if isinstance(r, Failed)]
    assert [f.trial for f in failed] == ["t0009"]
    assert "loss" in str(failed[0].error)
    check_same(got, expected)


def test_a_paused_stack_goes_on_where_each_trial_stood(
    trainer: Make, assign: Assign, tmp_path: Path
) -> None:
    class PauseFile:
        """Exists when asked for the n-th time, and from then on."""

        left = 12

        def exists(self) -> bool:
            self.left -= 1
            return self.left <= 0

    assignments = [assign(n, **values) for n, values in enumerate(TRIALS[:3], 1)]
    expected = alone(trainer(), assignments)
    folder = tmp_path / "stacked"
    stack = Stack(trainer(folder=folder, pause_file=PauseFile()))
    for assignment in assignments:
        stack.join(assignment)
    got: list[Any] = []
    with pytest.raises(Interrupted, match="t0001"):
        got.extend(stack.reports())
    assert (folder / "t0001" / "checkpoints" / "partial").is_dir()
    rest = stacked(trainer(folder=folder), assignments)
    check_same(rest, expected)


def test_reports_that_were_given_before_are_given_again_and_not_trained_again(
    trainer: Make, assign: Assign
) -> None:
    plan = trainer()
    assignments = [assign(n, **values) for n, values in enumerate(TRIALS[:2], 1)]
    first = stacked(plan, assignments)
    again = stacked(plan, [assign(n, start=60, **v) for n, v in enumerate(TRIALS[:2], 1)])
    assert {len(reports) for reports in (first, again)} == {6, 4}
    for assignment in assignments:
        trial = assignment.config.trial
        given = {point: r for point, r in told(first, trial).items() if point > 60}
        assert told(again, trial) == given


def test_stacked_trials_share_the_seconds_that_went_by(trainer: Make, assign: Assign) -> None:
    plan = trainer()
    assignments = [assign(n, **values) for n, values in enumerate(TRIALS[:2], 1)]
    began = plan.clock.seconds()
    reports = stacked(plan, assignments)
    went_by = plan.clock.seconds() - began
    spent = [told(reports, a.config.trial)[180].seconds for a in assignments]
    assert all(seconds > 0 for seconds in spent)
    assert sum(spent) <= went_by + 0.01


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"adapter": "full"}, "only lora"),
        ({**LORA, "adapter__lora__layers": "top_third"}, "lowest adapted layer is 2"),
        ({**LORA, "backbone__tiny__depth": 2}, "depth is 2, that of the others 3"),
    ],
)
def test_a_trial_that_does_not_fit_is_told_why(
    trainer: Make, assign: Assign, values: dict[str, Any], text: str
) -> None:
    stack = Stack(trainer())
    stack.join(assign(1, **LORA))
    with pytest.raises(FixSpec, match=text):
        stack.join(assign(2, **values))
    assert stack.trials == ["t0001"]


def test_deberta_is_not_stacked(trainer: Make, assign: Assign, encoders: dict[str, Path]) -> None:
    stack = Stack(trainer(cards={"tiny": find_card(str(encoders["deberta-v2"]))}))
    with pytest.raises(FixSpec, match="DeBERTa"):
        stack.join(assign(1, **LORA))


def test_configurations_are_grouped_by_what_a_stack_shares() -> None:
    def group(**values: Any) -> object:
        flat = {key.replace("__", "."): value for key, value in values.items()}
        return group_of(TrialConfig("t0001", {"backbone": "tiny", **flat}, 1))

    assert group(**LORA) == group(**TRIALS[1]) == group(**LORA, adapter__lora__layers="all")
    assert group(**LORA) != group(**LORA, backbone__tiny__depth=2)
    assert group(**LORA) != group(**TOP[0])
    assert group(adapter="frozen") is None
    assert group() is None
