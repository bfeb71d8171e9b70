"""Trials on windows: learning, resuming bit for bit, auxiliary losses, what is left out."""

from __future__ import annotations

import importlib
import itertools
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from toprung.core.errors import FixSpec
from toprung.data.load import load_dataset
from toprung.data.series import Series
from toprung.data.source import DataSource
from toprung.learn import architectures, fusions, positions
from toprung.learn.architectures.transformer import Transformer
from toprung.learn.checkpoint import load_checkpoint
from toprung.learn.member import load_member, load_plain, save_member
from toprung.learn.run import Run
from toprung.learn.series.member import SeriesMember
from toprung.learn.series.settings import Derived
from toprung.learn.trainer import Trainer
from toprung.spec.families import Components
from toprung.trial.config import Assignment, Resource, TrialConfig
from toprung.trial.report import Metric, Report

Make = Callable[..., Trainer]
SMALL = {
    "backbone": "transformer",
    "backbone.transformer.width": 16,
    "backbone.transformer.layers": 1,
    "backbone.transformer.heads": 2,
    "backbone.transformer.patch": 3,
    "batch_size": 16,
}


def assign(start: int = 0, seed: int = 1, **values: Any) -> Assignment:
    flat = {key.replace("__", "."): value for key, value in values.items()}
    return Assignment(TrialConfig("t0001", {**SMALL, **flat}, seed=seed), start=start)


@pytest.fixture
def trainer(write_windows: Callable[..., Path], tmp_path: Path) -> Make:
    source = DataSource(path=str(write_windows(tmp_path / "data")), label="labels", task="series")
    data = load_dataset(source, 7)

    def make(**changes: Any) -> Trainer:
        values: dict[str, Any] = {
            "task": "series",
            "dataset": data.without("test"),
            "metric": Metric("positive_f1"),
            "resource": Resource("epochs", 1, 3, (1, 2, 3)),
            "folder": tmp_path / "trials",
            "cache": tmp_path / "cache",
            "cpus": 1,
            "device": "cpu",
        }
        return Trainer(**{**values, **changes})

    return make


def values(report: Report) -> dict[str, float]:
    return {name: v for name, v in report.metrics.items() if name != "rows_per_second"}


def trained(plan: Trainer, point: int) -> dict[str, torch.Tensor]:
    found = load_checkpoint(plan.folder / "t0001" / "checkpoints" / str(point))
    assert found is not None
    return {**found.weights, **found.training}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[n], other[n]) for n in one)


def series_of(plan: Trainer, split: str = "stopping") -> Series:
    series = plan.dataset.splits[split].series
    assert series is not None
    return series


def test_the_options_of_a_transformer_name_every_fusion_and_position() -> None:
    fields = Components("architecture").fields("transformer")
    assert sorted(map(str, fields["fusion"].choices)) == fusions.registry.names()
    assert sorted(map(str, fields["position"].choices)) == positions.registry.names()
    assert architectures.registry.names() == ["transformer"]
    with pytest.raises(ValueError, match="3 heads do not divide a width of 64"):
        Transformer(heads=3)


@pytest.mark.parametrize("fusion", fusions.registry.names())
@pytest.mark.parametrize("position", positions.registry.names())
def test_every_fusion_and_position_learns(trainer: Make, fusion: str, position: str) -> None:
    plan = trainer(resource=Resource("epochs", 10, 10, (10,)))
    shape = {
        "backbone__transformer__fusion": fusion,
        "backbone__transformer__position": position,
    }
    (report,) = plan(assign(learning_rate=1e-2, **shape))
    assert report.metrics["positive_f1"] > 0.8
    assert 0.5 <= report.metrics["largest_predicted_share"] < 1.0


@pytest.mark.parametrize("fusion", fusions.registry.names())
def test_what_a_missing_modality_holds_has_no_influence(trainer: Make, fusion: str) -> None:
    torch.manual_seed(1)
    model = Run(trainer(), assign(backbone__transformer__fusion=fusion)).build.model.eval()
    present = torch.tensor([[True, False], [True, True]])
    acc, gyro = torch.randn(2, 12, 2), torch.randn(2, 6, 1)
    other = gyro.clone()
    other[0] = 99.0
    with torch.inference_mode():
        one, two = model([acc, gyro], present), model([acc, other], present)
    assert torch.equal(one, two)
    assert not torch.equal(model([acc, gyro], torch.ones(2, 2).bool())[0], one[0])


FULL: dict[str, Any] = {
    "modality_dropout": 0.3,
    "auxiliary_weight": 0.5,
    "jitter": 0.1,
    "scaling": 0.1,
    "shift": 0.2,
    "dropout": 0.2,
    "pooling": "attention",
    "head": "mlp",
    "loss": "focal",
    "loss.focal.alpha": "balanced",
    "sampling": "sqrt",
    "schedule": "plateau",
    "backbone.transformer.fusion": "cross_attention",
}


@pytest.mark.parametrize("config", [FULL, {**FULL, "patience": 1, "schedule": "cosine_restarts"}])
def test_a_trial_on_windows_resumed_at_every_point_equals_one_that_ran_through(
    trainer: Make, tmp_path: Path, config: dict[str, Any]
) -> None:
    through, resumed = trainer(), trainer(folder=tmp_path / "resumed")
    expected = list(through(assign(**config)))
    got = []
    for start in (0, 1, 2):
        calls = resumed(assign(start=start, **config))
        got.append(next(iter(calls)))
        calls.close()  # type: ignore[attr-defined]
    assert [values(report) for report in got] == [values(report) for report in expected]
    assert same(trained(through, 3), trained(resumed, 3))


def test_a_trial_on_windows_paused_between_points_goes_on_bit_for_bit(
    trainer: Make, tmp_path: Path
) -> None:
    class PauseFile:
        def __init__(self) -> None:
            self.left = 9

        def exists(self) -> bool:
            self.left -= 1
            return self.left == 0

    through = trainer()
    expected = list(through(assign(**FULL)))
    paused = trainer(folder=tmp_path / "paused", pause_file=PauseFile())
    with pytest.raises(Exception, match="was paused after"):
        list(paused(assign(**FULL)))
    rest = list(trainer(folder=tmp_path / "paused")(assign(start=1, **FULL)))
    assert [values(r) for r in rest] == [values(r) for r in expected[1:]]
    assert same(trained(through, 3), trained(paused, 3))


def test_an_auxiliary_loss_trains_its_head_and_its_target_is_never_an_input(
    trainer: Make,
) -> None:
    plan = trainer(resource=Resource("epochs", 1, 8, (1, 8)))
    first, last = plan(assign(auxiliary_weight=1.0, learning_rate=1e-2))
    assert 0 < last.metrics["train_auxiliary_loss"] < 0.8 * first.metrics["train_auxiliary_loss"]
    assert last.metrics["train_auxiliary_loss"] < last.metrics["train_loss"]
    weights = trained(plan, 8)
    assert weights["auxiliary.weight"].shape[0] == 4 + 1
    assert (weights["optimizer.exp_avg.auxiliary.weight"] != 0).all()
    # Without the targets of a held-out split its scores are the same.
    run = Run(plan, assign(start=8, auxiliary_weight=1.0, learning_rate=1e-2))
    bare = replace(plan.dataset.splits["stopping"], auxiliary={})
    blind = replace(plan, dataset=replace(plan.dataset, splits={**plan.dataset.splits, "x": bare}))
    run.build.plan = blind  # type: ignore[attr-defined]
    found = [run.build.inputs((name,)) for name in ("stopping", "x")]
    kept, again = (rows.scores(run.model.eval(), np.arange(5)) for rows in found)
    assert kept.shape == (5, 2)
    assert torch.equal(kept, again)


def test_without_weight_there_is_no_auxiliary_head(trainer: Make) -> None:
    reports = list(trainer()(assign()))
    assert "train_auxiliary_loss" not in reports[-1].metrics
    assert not any(name.startswith("auxiliary") for name in trained(trainer(), 3))


def test_patience_ends_a_trial_early_with_its_best_weights(trainer: Make) -> None:
    points = tuple(range(1, 10))
    plan = trainer(resource=Resource("epochs", 1, 9, points))
    reports = list(plan(assign(patience=2, learning_rate=0.3, warmup=0.0)))
    scores = [report.metrics["positive_f1"] for report in reports]
    assert [report.resource for report in reports] == list(points)
    assert scores[-1] == max(scores)
    steps = load_checkpoint(plan.folder / "t0001" / "checkpoints" / "9")
    assert steps is not None
    assert steps.state["patience"]["ended"]
    assert steps.state["progress"]["position"]["examples"] < 9 * 96
    assert reports[-1].metrics["train_loss"] > 0


def test_a_saved_member_predicts_the_same_bits_in_a_fresh_process(
    trainer: Make, tmp_path: Path
) -> None:
    plan = trainer()
    *_, last = plan(assign(**FULL))
    save_member(plan.folder / "t0001", str(last.checkpoint), tmp_path / "member")
    series = series_of(plan)
    member = load_member(tmp_path / "member", "cpu")
    assert isinstance(member, SeriesMember)
    found = member.logits(series)
    kept = np.load(plan.folder / "t0001" / "predictions" / "3.stopping.npy")
    np.testing.assert_array_equal(found, kept)
    np.savez(tmp_path / "rows.npz", **dict(series.arrays))
    script = Path(__file__).with_name("fresh_windows.py")
    order = {"member": str(tmp_path / "member"), "rows": str(tmp_path / "rows.npz")}
    done = subprocess.run(
        [sys.executable, str(script)],
        input=json.dumps(order),
        capture_output=True,
        text=True,
        check=True,
    )
    np.testing.assert_array_equal(np.array(json.loads(done.stdout), np.float32), found)
    assert not (tmp_path / "member" / "tokenizer").exists()


def test_a_member_predicts_where_a_modality_is_missing(trainer: Make, tmp_path: Path) -> None:
    plan = trainer(resource=Resource("epochs", 25, 25, (25,)))
    (report,) = plan(assign(modality_dropout=0.3, learning_rate=1e-2))
    save_member(plan.folder / "t0001", str(report.checkpoint), tmp_path / "member")
    member = load_member(tmp_path / "member", "cpu")
    whole, labels = series_of(plan), plan.dataset.splits["stopping"].labels
    for gone in whole.arrays:
        rest = Series({name: array for name, array in whole.arrays.items() if name != gone})
        scores = member.logits(rest)
        assert (scores.argmax(axis=1) == labels).mean() > 0.7
        empty = np.full_like(whole.arrays[gone], np.nan)
        np.testing.assert_array_equal(member.logits(Series({**rest.arrays, gone: empty})), scores)
    with pytest.raises(ValueError, match="window 0 has none of acc, gyro"):
        member.logits(Series({"other": whole.arrays["acc"]}))
    with pytest.raises(ValueError, match="not \\(6, 1\\) as in training"):
        member.logits(Series({"gyro": whole.arrays["acc"]}))
    with pytest.raises(TypeError, match="not texts"):
        member.logits(["a text"])


@pytest.mark.parametrize(
    ("fusion", "derived"), zip(fusions.registry.names(), itertools.cycle(get_args(Derived)))
)
def test_the_graph_of_a_member_gives_its_logits(
    trainer: Make, tmp_path: Path, fusion: str, derived: str
) -> None:
    onnxruntime = pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    windows = importlib.import_module("toprung.ship.exporters._windows")
    plan = trainer(resource=Resource("epochs", 1, 1, (1,)))
    values = {"backbone__transformer__fusion": fusion, "derived": derived}
    (report,) = plan(assign(backbone__transformer__stem="convolution", **values))
    save_member(plan.folder / "t0001", str(report.checkpoint), tmp_path / "member")
    member, _ = load_plain(tmp_path / "member")
    windows.draw_windows(member, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    series = series_of(plan)
    series.arrays["gyro"][2:5] = np.nan
    series.arrays["acc"][7] = np.nan
    found = session.run(["logits"], dict(series.arrays))[0]
    np.testing.assert_allclose(found, member.logits(series), atol=1e-4)


@pytest.mark.parametrize(
    ("config", "text"),
    [
        ({"backbone": "tranformer"}, "Did you mean 'transformer'"),
        ({"backbone.transformer.heads": 3}, "3 heads do not divide a width of 16"),
        ({"backbone.transformer.heads": -1}, "-1 heads do not divide a width of 16"),
        ({"backbone.transformer.depth": 3}, "depth"),
    ],
)
def test_a_configuration_that_fits_no_architecture_is_told(
    trainer: Make, config: dict[str, Any], text: str
) -> None:
    with pytest.raises(FixSpec, match=text):
        list(trainer()(assign(**config)))


def test_trials_of_one_shape_start_from_the_same_pretrained_weights(
    trainer: Make, tmp_path: Path
) -> None:
    plan = trainer(resource=Resource("epochs", 1, 1, (1,)))
    frozen = {"learning_rate": 1e-9, "warmup": 0.0, "weight_decay": 0.0}
    starts = []
    for number, seed in enumerate((1, 2)):
        folder = tmp_path / str(number)
        config = {**frozen, "pretraining_epochs": 3, "dropout": 0.1 * seed}
        run = Run(replace(plan, folder=folder), assign(seed=seed, **config))
        starts.append(run.build.model.state_dict())
    caches = list((tmp_path / "cache" / "pretrained").iterdir())
    assert len(caches) == 1
    names = [name for name in starts[0] if name.startswith("fusion.")]
    assert all(torch.equal(starts[0][name], starts[1][name]) for name in names)
    assert not torch.equal(starts[0]["head.score.weight"], starts[1]["head.score.weight"])
    # Made anew they are the same again, whichever trial comes first; other options have others.
    kept = {n: t.clone() for n, t in load_file(caches[0] / "fusion.safetensors").items()}
    (caches[0] / "fusion.safetensors").write_bytes(b"broken")
    again = Run(replace(plan, folder=tmp_path / "3"), assign(seed=5, pretraining_epochs=3))
    assert all(
        torch.equal(kept[name.removeprefix("fusion.")], again.build.model.state_dict()[name])
        for name in names
    )
    Run(replace(plan, folder=tmp_path / "4"), assign(pretraining_epochs=2))
    assert len(list((tmp_path / "cache" / "pretrained").iterdir())) == 2
    plain = Run(replace(plan, folder=tmp_path / "5"), assign(seed=1)).build.model.state_dict()
    assert not all(torch.equal(starts[0][name], plain[name]) for name in names)


def test_pretraining_fills_in_masked_patches_and_goes_on_bit_for_bit(
    trainer: Make, tmp_path: Path
) -> None:
    config = {**FULL, "pretraining_epochs": 2}
    through, resumed = trainer(), trainer(folder=tmp_path / "b", cache=tmp_path / "other")
    expected = list(through(assign(**config)))
    first = resumed(assign(**config))
    got = [next(iter(first))]
    first.close()  # type: ignore[attr-defined]
    got += list(resumed(assign(start=1, **config)))
    assert [values(report) for report in got] == [values(report) for report in expected]
    assert same(trained(through, 3), trained(resumed, 3))
